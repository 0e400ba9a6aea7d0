"""What every engine can do, and how one is asked for."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from foldserve_contract.signature import Array, Arrays, Signature

from .device import Device

GRAPH_ROWS = 2**31 - 1  # every size: a convolution that is not replayed is planned anew whenever the size changes


class EngineKind(StrEnum):
    """The library that runs the artifact."""

    ONNXRUNTIME = "onnxruntime"
    TENSORFLOW = "tensorflow"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is to run.

    Attributes:
        threads: Threads for one operation; 0 lets the library decide.
        optimise: Whether the library may rewrite the graph. Off for a check of correctness.
        device: Where to run. A device that is not there is an error, never another device.
        spinning: Whether idle threads spin for work: faster alone, slower beside other engines.
        memory_limit_bytes: Most memory the library may take on a GPU; None for no limit.
        tf32: Whether a GPU may round what it multiplies to ten bits of mantissa.
        deterministic: Whether kernels that give other bits at every run are ruled out.
        sizes: Batch sizes that are computed again and again; a GPU has buffers of its own for each.
        graph_rows: The largest of them that a GPU replays as a CUDA graph; 0 for none.
    """

    threads: int = 0
    optimise: bool = True
    device: Device = field(default_factory=Device)
    spinning: bool = False
    memory_limit_bytes: int | None = None
    deterministic: bool = False
    tf32: bool = False
    sizes: tuple[int, ...] = ()
    graph_rows: int = GRAPH_ROWS


class Engine(Protocol):
    """A loaded artifact."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

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
        """In words for operators; empty where there is nothing to say."""
