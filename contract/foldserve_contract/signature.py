"""What a model takes and gives: names, dtypes and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dtypes import dtype_named
from .errors import TensorError

Array = NDArray[Any]
Arrays = Mapping[str, Array]

DYNAMIC = -1
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: Its name in both artifacts and on the wire.
        dtype: Numpy's name of the element type.
        shape: -1 for every dynamic dimension; the first is the batch and always -1.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        dtype_named(self.dtype)
        if not self.name:
            raise TensorError("a tensor needs a name")
        if not self.shape or self.shape[0] != DYNAMIC or any(size < DYNAMIC for size in self.shape):
            raise TensorError(
                f"tensor {self.name!r}: the first dimension must be -1 (the batch) and no other below -1,"
                f" received {list(self.shape)}"
            )

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row: all but the batch."""
        return self.shape[1:]

    @property
    def row_bytes(self) -> int | None:
        """Bytes of one row, or None where a dimension is dynamic."""
        if DYNAMIC in self.row_shape:
            return None
        return int(np.prod(self.row_shape, dtype=np.int64)) * dtype_named(self.dtype).numpy.itemsize

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may stand for the tensor."""
        return len(shape) == len(self.shape) and all(
            want in (DYNAMIC, got) for want, got in zip(self.shape, shape, strict=True)
        )

    def check(self, array: Array) -> None:
        """Says what is wrong with an array offered for this tensor.

        Raises:
            TensorError: Its dtype or shape is not the one asked for. Nothing is ever cast or reshaped.
        """
        if array.dtype != np.dtype(self.dtype):
            raise TensorError(f"tensor {self.name!r}: expected dtype {self.dtype}, received {array.dtype}")
        if not self.accepts(array.shape):
            raise TensorError(
                f"tensor {self.name!r}: expected shape {list(self.shape)} (-1 is free), received {list(array.shape)}"
            )


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of one entry point, in the model's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        for kind, specs in (("input", self.inputs), ("output", self.outputs)):
            names = [spec.name for spec in specs]
            if not names:
                raise TensorError(f"a signature needs at least one {kind}")
            if len(set(names)) != len(names):
                raise TensorError(f"a signature's {kind} names must differ, received {names}")

    def check_inputs(self, inputs: Arrays) -> int:
        """Checks names, dtypes and shapes of the inputs; gives the number of rows.

        Raises:
            TensorError: A name is missing or unknown, a dtype or shape differs, or the inputs' rows differ in number.
        """
        return _check(self.inputs, inputs, "input")

    def check_outputs(self, outputs: Arrays) -> int:
        """As `check_inputs`, for what an engine gave."""
        return _check(self.outputs, outputs, "output")


def _check(specs: tuple[TensorSpec, ...], arrays: Arrays, kind: str) -> int:
    wanted = {spec.name for spec in specs}
    if arrays.keys() != wanted:
        raise TensorError(f"expected the {kind}s {sorted(wanted)}, received {sorted(arrays)}")
    for spec in specs:
        spec.check(arrays[spec.name])
    rows = {spec.name: arrays[spec.name].shape[0] for spec in specs}
    if len(set(rows.values())) != 1:
        raise TensorError(f"every {kind} must have the same number of rows, received {rows}")
    return int(next(iter(rows.values())))
