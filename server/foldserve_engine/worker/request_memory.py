"""The engine's side of one front end's memory: where a request's inputs are read and its outputs are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from foldserve_contract.signature import Array, Arrays, Signature

from ..errors import RunFailed
from ..link.layout import Dims, Layout
from ..link.packets import Arena, Submit
from ..link.shared_memory import SharedMemory


class RequestInvalid(Exception):
    """A request that does not fit the memory it names."""


@dataclass(slots=True)
class OpenRequest:
    """A request: its inputs, which share the front end's memory, and room for its outputs."""

    submit: Submit
    inputs: dict[str, Array]
    memory: mmap
    offset: int
    room: int
    parts: list[Arrays] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WrittenOutputs:
    """Outputs that were written: their dims, and the memory made for them where the room did not suffice."""

    dims: Dims
    memory: SharedMemory | None


class RequestMemory:
    """Opens requests and writes their answers."""

    def __init__(self, signature: Signature) -> None:
        """For requests of one signature."""
        self.inputs = Layout(signature.inputs)
        self.outputs = Layout(signature.outputs)
        self._arena = Arena(0, 0)
        self._memory: SharedMemory | None = None

    def attach(self, arena: Arena, descriptor: int) -> None:
        """Takes the memory in which requests lie.

        Raises:
            Unreadable: The memory is smaller than its slabs.
        """
        memory = _attach(descriptor)
        if memory.size < arena.size:
            raise RequestInvalid(f"an arena of {memory.size} bytes cannot hold {arena}")
        self._arena, self._memory = arena, memory

    def open(self, submit: Submit, descriptor: int | None) -> OpenRequest:
        """The inputs of a request, in its slab or in memory of its own.

        Raises:
            Unreadable: They do not fit it.
        """
        memory, offset, room = self._place(submit, descriptor)
        size = self.inputs.size(submit.rows, submit.dims)
        if size > room or any(dim < 0 for dim in submit.dims):
            raise RequestInvalid(f"{submit} takes {size} bytes where there are {room}")
        inputs = self.inputs.views(memory, offset, submit.rows, submit.dims)
        return OpenRequest(submit, inputs, memory, offset + size, room - size)

    def write(self, task: OpenRequest, parts: Sequence[Arrays]) -> WrittenOutputs:
        """Writes the outputs, computed in parts, in order.

        Raises:
            RunFailed: The parts' rows differ in shape.
        """
        dims = self.outputs.dims(parts[0])
        if any(self.outputs.dims(part) != dims for part in parts):
            raise RunFailed("the parts of a large request were answered with rows of different shapes")
        size = self.outputs.size(task.submit.rows, dims)
        if size <= task.room:
            self._copy(task.memory, task.offset, task.submit.rows, dims, parts)
            return WrittenOutputs(dims, None)
        own = SharedMemory.create(size, "outputs")
        self._copy(own.map, 0, task.submit.rows, dims, parts)
        return WrittenOutputs(dims, own)

    def _copy(self, memory: mmap, offset: int, rows: int, dims: Dims, parts: Sequence[Arrays]) -> None:
        for name, view in self.outputs.views(memory, offset, rows, dims).items():
            if len(parts) == 1:
                np.copyto(view, parts[0][name])
            else:
                np.concatenate([part[name] for part in parts], out=view)

    def _place(self, submit: Submit, descriptor: int | None) -> tuple[mmap, int, int]:
        if descriptor is not None:
            own = _attach(descriptor)
            return own.map, 0, own.size
        if self._memory is None or submit.own_memory or submit.slot >= self._arena.all_slots:
            raise RequestInvalid(f"{submit} names memory that is not there")
        return self._memory.map, *self._arena.place(submit.slot)


def _attach(descriptor: int) -> SharedMemory:
    try:
        memory = SharedMemory.attach(descriptor)
    except (OSError, ValueError) as error:
        raise RequestInvalid(f"memory cannot be mapped: {error}") from error
    memory.close()  # the mapping stays
    return memory
