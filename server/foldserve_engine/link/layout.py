"""Layout of a request's tensors in its memory: one after the other, aligned, in the signature's order."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.signature import DYNAMIC, Array, Arrays, TensorSpec

from ..rows import ALIGNMENT

Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    dtype: np.dtype[np.generic]
    row_shape: tuple[int, ...]
    dynamic: bool
    row_bytes: int


_Row = tuple[_Tensor, tuple[int, ...], int]


class Layout:
    """Places for the inputs, or the outputs, of a signature.

    A request's shapes are its number of rows and its `dims`: the sizes of all dynamic dimensions but the batch, in
    the signature's order.
    """

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        """The layout of these tensors."""
        self._tensors = tuple(_tensor(spec) for spec in specs)
        self._free = [
            (spec.name, axis) for spec in specs for axis, size in enumerate(spec.shape) if axis and size == DYNAMIC
        ]
        self._fixed = (
            None if self._free else tuple((tensor, tensor.row_shape, tensor.row_bytes) for tensor in self._tensors)
        )

    @property
    def dims_count(self) -> int:
        """Number of dims of a request."""
        return len(self._free)

    def dims(self, arrays: Arrays) -> Dims:
        """The sizes of the dynamic dimensions."""
        return tuple([arrays[name].shape[axis] for name, axis in self._free])

    def row_shapes(self, dims: Dims) -> tuple[tuple[int, ...], ...]:
        """The shape of one row of each tensor."""
        return tuple([shape for _, shape, _ in self._rows(dims)])

    def size(self, rows: int, dims: Dims) -> int:
        """Bytes that `rows` rows take, to the end of the last tensor's alignment."""
        return sum([_aligned(rows * row_bytes) for _, _, row_bytes in self._rows(dims)])

    def views(self, memory: mmap, offset: int, rows: int, dims: Dims) -> dict[str, Array]:
        """The tensors as arrays that share the memory.

        Raises:
            TypeError: The memory is too small.
        """
        views: dict[str, Array] = {}
        for tensor, shape, row_bytes in self._rows(dims):
            views[tensor.name] = np.ndarray((rows, *shape), tensor.dtype, memory, offset)
            offset += _aligned(rows * row_bytes)
        return views

    def _rows(self, dims: Dims) -> Iterable[_Row]:
        """Tensors with the shape and the bytes of a row."""
        return self._sized(dims) if self._fixed is None else self._fixed

    def _sized(self, dims: Dims) -> Iterator[_Row]:
        left = iter(dims)
        for tensor in self._tensors:
            if not tensor.dynamic:
                yield tensor, tensor.row_shape, tensor.row_bytes
                continue
            shape = tuple([next(left) if size == DYNAMIC else size for size in tensor.row_shape])
            yield tensor, shape, math.prod(shape) * tensor.dtype.itemsize


def _tensor(spec: TensorSpec) -> _Tensor:
    dtype = dtype_named(spec.dtype).numpy
    dynamic = DYNAMIC in spec.row_shape
    return _Tensor(spec.name, dtype, spec.row_shape, dynamic, 0 if dynamic else spec.row_bytes or 0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
