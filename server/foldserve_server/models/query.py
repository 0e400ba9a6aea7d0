"""Requests and predictions, independent of the protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Arrays


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model a caller means: its latest version, unless a version or a label is given."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        return f"Latest({self.name})" if self.version is None else f"Specific({self.name}, {self.version})"


@dataclass(frozen=True, slots=True)
class InputTensor:
    """Input tensor of a request: checked by dtype and shape before its content is read.

    Attributes:
        dtype: NumPy's name where a bundle can hold the type, else the format's own; None where it names none.
        shape: None where it is not fully known.
        read: Gives the content; raises `TensorError` where it does not fill the shape.
    """

    dtype: str | None
    shape: tuple[int, ...] | None
    read: Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Query:
    """Request for a prediction.

    Attributes:
        inputs: By name.
        outputs: The names of the outputs that are wanted; empty for all.
        deadline_ns: When the caller stops waiting, on CLOCK_MONOTONIC.
        exact: Whether a row's bits must depend on nothing but the row.
    """

    model: ModelRef
    inputs: Mapping[str, InputTensor]
    outputs: tuple[str, ...] = ()
    signature: str = DEFAULT_SIGNATURE
    deadline_ns: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PredictResult:
    """The outputs by name, and the version that computed them."""

    version: int
    outputs: Arrays
