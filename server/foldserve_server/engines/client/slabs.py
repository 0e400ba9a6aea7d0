"""Shared memory of a front end and an engine: slabs that hold one request each, its inputs and then its outputs."""

from dataclasses import dataclass
from mmap import mmap

import numpy as np

from foldserve_contract.signature import Array, Arrays, Signature
from foldserve_engine.link.layout import Dims, Layout
from foldserve_engine.link.packets import Arena
from foldserve_engine.link.shared_memory import SharedMemory

from ..settings import MAX_SLOTS, EngineSettings

_LEAST_SLOTS = 16
_MOST_LARGE_SLOTS = 64
_SLAB_BYTES = (64 << 10, 1 << 20)
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class RequestSize:
    """Size of a request: its rows and dims, the bytes of its inputs, and of its outputs as far as is known."""

    rows: int
    dims: Dims
    inputs: int
    outputs: int

    @property
    def total(self) -> int:
        """Bytes of inputs and outputs."""
        return self.inputs + self.outputs


@dataclass(slots=True)
class SlotView:
    """Memory of one request; `own` is set where it was made for it because a slab is too small."""

    memory: mmap
    offset: int
    own: SharedMemory | None


class Slabs:
    """Memory of small and large slabs. A slab that was never used takes no memory; the last freed is used first.

    Pages that were used are kept: to fault in new ones costs several times what the copy costs.
    """

    def __init__(self, signature: Signature, max_batch_size: int, settings: EngineSettings) -> None:
        """Slabs that hold a full batch where that is small, and always a row, within the bytes that may be queued."""
        self._inputs, self._outputs = Layout(signature.inputs), Layout(signature.outputs)
        self.input_dims, self.output_dims = self._inputs.dims_count, self._outputs.dims_count
        self.arena = self._plan(max_batch_size, settings)
        self._memory = SharedMemory.create(self.arena.size, "arena")

    @property
    def descriptor(self) -> int:
        """The memory, to be attached by an engine."""
        return self._memory.descriptor

    def measure(self, inputs: Arrays) -> RequestSize:
        """The size of a request with these inputs."""
        rows = next(iter(inputs.values())).shape[0]
        dims = self._inputs.dims(inputs)
        outputs = 0 if self.output_dims else self._outputs.size(rows, ())
        return RequestSize(rows, dims, self._inputs.size(rows, dims), outputs)

    def write(self, slot: int, size: RequestSize, inputs: Arrays) -> SlotView:
        """Copies the inputs into the slot's slab, or into memory of their own.

        Raises:
            OSError: There is no memory or descriptor left.
            ValueError, TypeError: An input has another shape or dtype than the signature's.
        """
        offset, room = self.arena.place(slot)
        place = SlotView(self._memory.map, offset, None)
        if size.total > room:
            own = SharedMemory.create(size.total, "request")
            place = SlotView(own.map, 0, own)
        for name, view in self._inputs.views(place.memory, place.offset, size.rows, size.dims).items():
            array = inputs[name]
            if array.shape != view.shape:  # it would be broadcast
                raise ValueError(f"input {name!r} has shape {array.shape} where {view.shape} is expected")
            np.copyto(view, array, casting="no")
        return place

    def read(self, place: SlotView, size: RequestSize, dims: Dims) -> dict[str, Array]:
        """Copies of the outputs that an engine wrote behind the inputs."""
        views = self._outputs.views(place.memory, place.offset + size.inputs, size.rows, dims)
        return {name: view.copy() for name, view in views.items()}

    def read_own(self, memory: SharedMemory, size: RequestSize, dims: Dims) -> dict[str, Array]:
        """The outputs for which an engine made memory; the arrays keep it."""
        return self._outputs.views(memory.map, 0, size.rows, dims)

    def close(self) -> None:
        """Gives the memory back."""
        self._memory.close()

    def _plan(self, max_batch_size: int, settings: EngineSettings) -> Arena:
        """Small slabs for a row or a small batch, large ones for a full batch, each in half of the bytes."""
        small, large = _SLAB_BYTES[1], 0
        if not self.input_dims and not self.output_dims:
            row, batch = self._bytes(1), self._bytes(max_batch_size)
            small = max(_SLAB_BYTES[0], row, min(batch, small))
            large = batch if small < batch <= settings.max_request_bytes else 0
        small, large = _paged(small), _paged(large)
        large_slots = min(_MOST_LARGE_SLOTS, settings.max_queue_bytes // 2 // large) if large else 0
        slots = (settings.max_queue_bytes - large_slots * large) // small
        slots = max(_LEAST_SLOTS, min(MAX_SLOTS - large_slots, settings.max_queue_rows, slots))
        return Arena(slots, small, large_slots, large)

    def _bytes(self, rows: int) -> int:
        return self._inputs.size(rows, ()) + self._outputs.size(rows, ())


def _paged(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
