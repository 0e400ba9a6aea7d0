"""Rows of several callers gathered for one run, and padded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from foldserve_contract.signature import Array, Arrays, Signature

from .batch_sizes import padded
from .protocol import Engine

ALIGNMENT = 64
Rows = tuple[Arrays, int, int]


@runtime_checkable
class OwnMemory(Protocol):
    """An engine that reads some host memory faster than other."""

    def allocate(self, size: int) -> Array:
        """Memory of that many bytes, aligned."""


class Gather:
    """Puts rows together in memory that is used again for every batch."""

    def __init__(self, allocate: Callable[[int], Array] | None = None) -> None:
        """No memory is held before the first batch; `allocate` gives aligned memory of that many bytes."""
        self._scratch: dict[str, Array] = {}
        self._allocate = allocate or aligned

    @classmethod
    def into(cls, engine: Engine) -> "Gather":
        """Puts rows where the engine reads them best."""
        return cls(engine.allocate if isinstance(engine, OwnMemory) else None)

    def collect(self, parts: Sequence[Rows], size: int, *, own: bool = False) -> dict[str, Array]:
        """The rows of all parts, then copies of the last one up to `size`. Valid until the next call.

        Args:
            parts: Arrays by input name, and which of their rows: from, up to. At least one row in all.
            size: Rows to pad to.
            own: Whether rows are copied in every case. Where they begin in memory is then always the same, which some
                kernels' order of summation depends on.
        """
        first, start, stop = parts[0]
        if len(parts) == 1 and stop - start == size and not own:
            return {name: array[start:stop] for name, array in first.items()}
        batch = {name: self._room(name, size, array) for name, array in first.items()}
        at = 0
        for arrays, start, stop in parts:
            for name, array in arrays.items():
                batch[name][at : at + stop - start] = array[start:stop]
            at += stop - start
        for array in batch.values() if at < size else ():
            array[at:] = array[at - 1]
        return batch

    def _room(self, name: str, rows: int, like: Array) -> Array:
        shape = (rows, *like.shape[1:])
        size = int(np.prod(shape, dtype=np.int64)) * like.itemsize
        scratch = self._scratch.get(name)
        if scratch is None or scratch.size < size:
            scratch = self._scratch[name] = self._allocate(size)
        return scratch[:size].view(like.dtype).reshape(shape)


def aligned(size: int, alignment: int = ALIGNMENT) -> Array:
    """Memory of that many bytes, the first at a multiple of the alignment."""
    memory = np.empty(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size]


class PaddedEngine:
    """An engine that only ever computes allowed batch sizes: pads what it is given, and cuts what it gives."""

    def __init__(self, engine: Engine, sizes: Sequence[int]) -> None:
        """The engine, and its sizes, ascending; none: any size."""
        self._engine = engine
        self._sizes = sizes
        self._gather = Gather()

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of the engine."""
        return self._engine.signature

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output; see `Engine.run`."""
        rows = next(iter(inputs.values())).shape[0]
        size = padded(rows, self._sizes)
        if size == rows:
            return self._engine.run(inputs)
        outputs = self._engine.run(self._gather.collect([(inputs, 0, rows)], size))
        return _cut(outputs, size, rows)

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()


def _cut(outputs: Mapping[str, Array], size: int, rows: int) -> dict[str, Array]:
    """The first rows; an output that does not have `size` rows is left as it is, for the check of its shape."""
    return {name: array[:rows] if array.shape[:1] == (size,) else array for name, array in outputs.items()}
