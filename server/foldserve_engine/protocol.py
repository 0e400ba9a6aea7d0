"""Protocol of an engine: a loaded artifact that computes batches."""

from typing import Protocol, runtime_checkable

from foldserve_contract.signature import Array, Arrays, Signature


class Engine(Protocol):
    """A loaded artifact."""

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of the artifact."""

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output for one batch of inputs that fit the signature.

        Raises:
            RunFailed: The library could not.
            EngineLost: It cannot compute anything any more.
        """

    def close(self) -> None:
        """Gives back what it holds; it cannot run afterwards."""


@runtime_checkable
class ReportsPlacement(Protocol):
    """An engine that can say what of its model runs where."""

    @property
    def placement(self) -> str:
        """Text for operators; empty where nothing is to be reported."""
