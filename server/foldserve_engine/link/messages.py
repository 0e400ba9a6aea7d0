"""The messages: one byte of kind, then records of one fixed size or a JSON document.

A record that has memory of its own takes the packet's next descriptor.

```
front end → engine   HELLO document, status page     ATTACH arena                SUBMIT/CANCEL records as WORK
engine → front end   READY document in a memfd       FAILED reason in words      RESULTS records
```
There is no message to stop: the engine ends when the front end closes its socket.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from .layout import Dims


class Kind(IntEnum):
    """What a packet holds."""

    HELLO = 1
    ATTACH = 2
    WORK = 3
    READY = 4
    FAILED = 5
    RESULTS = 6


class Outcome(IntEnum):
    """What became of a job."""

    DONE = 1
    FAILED = 2
    EXPIRED = 3
    CANCELLED = 4
    REJECTED = 5


@dataclass(frozen=True, slots=True)
class Arena:
    """The slabs of the memory that is attached: `slots` small ones, then `large_slots` large ones.

    A slot is the number of a slab, counted over both.
    """

    slots: int
    slab_bytes: int
    large_slots: int = 0
    large_bytes: int = 0

    _FORMAT = struct.Struct("<QQQQ")

    @property
    def all_slots(self) -> int:
        """Slabs of either size."""
        return self.slots + self.large_slots

    @property
    def size(self) -> int:
        """Bytes of all slabs."""
        return self.slots * self.slab_bytes + self.large_slots * self.large_bytes

    def place(self, slot: int) -> tuple[int, int]:
        """Where a slab begins, and how many bytes it has."""
        if slot < self.slots:
            return slot * self.slab_bytes, self.slab_bytes
        return self.slots * self.slab_bytes + (slot - self.slots) * self.large_bytes, self.large_bytes

    def pack(self) -> bytes:
        """As it stands in ATTACH."""
        return self._FORMAT.pack(self.slots, self.slab_bytes, self.large_slots, self.large_bytes)

    @classmethod
    def unpack(cls, payload: bytes) -> "Arena":
        """From ATTACH."""
        return cls(*cls._FORMAT.unpack(payload))


class Submit(NamedTuple):
    """A request to compute, or to forget (`cancel`); only slot and generation count then. For `exact` see `Job`."""

    slot: int
    generation: int
    rows: int
    deadline_ns: int
    own_memory: bool
    dims: Dims
    cancel: bool = False
    exact: bool = False


class Result(NamedTuple):
    """What became of a request. The slot is free again; its outputs lie in it, or in memory of their own."""

    slot: int
    generation: int
    outcome: Outcome
    own_memory: bool
    dims: Dims


class SubmitCodec:
    """Submits of one signature as bytes."""

    def __init__(self, dims_count: int) -> None:
        """For a signature whose inputs have that many dims."""
        self._struct = struct.Struct(f"<???xIIIq{dims_count}q")
        self._no_dims = (0,) * dims_count

    def pack(self, submit: Submit) -> bytes:
        """One record."""
        slot, generation, rows, deadline_ns, own_memory, dims, cancel, exact = submit
        return self._struct.pack(cancel, own_memory, exact, slot, generation, rows, deadline_ns, *dims)

    def pack_cancel(self, slot: int, generation: int) -> bytes:
        """One record that cancels."""
        return self._struct.pack(True, False, False, slot, generation, 0, 0, *self._no_dims)

    def unpack(self, payload: bytes | memoryview) -> Iterator[Submit]:
        """Every record of a packet."""
        for cancel, own_memory, exact, slot, generation, rows, deadline_ns, *dims in self._struct.iter_unpack(payload):
            yield Submit(slot, generation, rows, deadline_ns, own_memory, tuple(dims), cancel, exact)


class ResultCodec:
    """Results of one signature as bytes."""

    def __init__(self, dims_count: int) -> None:
        """For a signature whose outputs have that many dims."""
        self._struct = struct.Struct(f"<B?2xII{dims_count}q")
        self._no_dims = (0,) * dims_count

    def pack(self, result: Result) -> bytes:
        """One record."""
        slot, generation, outcome, own_memory, dims = result
        return self._struct.pack(outcome, own_memory, slot, generation, *(dims or self._no_dims))

    def unpack(self, payload: bytes | memoryview) -> Iterator[Result]:
        """Every record of a packet."""
        for outcome, own_memory, slot, generation, *dims in self._struct.iter_unpack(payload):
            yield Result(slot, generation, Outcome(outcome), own_memory, tuple(dims))
