"""Signatures: names, dtypes and shapes of a model's inputs and outputs."""

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
    """Specification of an input or output.

    Attributes:
        name: The name in both artifacts and on the wire.
        dtype: Numpy's name of the element type.
        shape: The shape with -1 for every dynamic dimension; the first is the batch and always -1.
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
        """The shape of one row, without the batch."""
        return self.shape[1:]

    @property
    def row_bytes(self) -> int | None:
        """The bytes of one row, or None if a dimension is dynamic."""
        if DYNAMIC in self.row_shape:
            return None
        return int(np.prod(self.row_shape, dtype=np.int64)) * dtype_named(self.dtype).numpy.itemsize

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Tests whether an array of this shape fits the specification."""
        return len(shape) == len(self.shape) and all(
            expected in (DYNAMIC, received) for expected, received in zip(self.shape, shape, strict=True)
        )

    def check(self, array: Array) -> None:
        """Checks an array; nothing is ever cast or reshaped.

        Raises:
            TensorError: The array has another dtype or shape.
        """
        if array.dtype != np.dtype(self.dtype):
            raise TensorError(f"tensor {self.name!r}: expected dtype {self.dtype}, received {array.dtype}")
        if not self.accepts(array.shape):
            raise TensorError(
                f"tensor {self.name!r}: expected shape {list(self.shape)} (-1 is free), received {list(array.shape)}"
            )


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of one entry point, in the model's order."""

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
        """Checks names, dtypes and shapes of inputs; returns the number of rows.

        Raises:
            TensorError: A name is missing or unknown, a dtype or shape differs, or the inputs' rows differ in number.
        """
        return _check(self.inputs, inputs, "input")

    def check_outputs(self, outputs: Arrays) -> int:
        """Checks names, dtypes and shapes of outputs; see `check_inputs`."""
        return _check(self.outputs, outputs, "output")


def _check(specs: tuple[TensorSpec, ...], arrays: Arrays, kind: str) -> int:
    names = {spec.name for spec in specs}
    if arrays.keys() != names:
        raise TensorError(f"expected the {kind}s {sorted(names)}, received {sorted(arrays)}")
    for spec in specs:
        spec.check(arrays[spec.name])
    rows = {spec.name: arrays[spec.name].shape[0] for spec in specs}
    if len(set(rows.values())) != 1:
        raise TensorError(f"every {kind} must have the same number of rows, received {rows}")
    return int(next(iter(rows.values())))
