"""Packets: one byte of kind, then records of one fixed size or a JSON message.

A record that has memory of its own takes the packet's next descriptor.

```
supervisor → engine  HELLO message, shared status     LINK a front end's socket     PING
engine → supervisor  READY message in a memfd        FAILED reason
front end → engine   ATTACH arena                    SUBMIT/CANCEL records as WORK
engine → front end   RESULTS records                 CREDITS that may be in flight
```
MESSAGES are those between a supervisor and its front ends. A PING is answered by the turn that it makes an
engine take, which is counted in the shared status. There is no message to stop: the engine ends when
the supervisor closes its socket, and forgets a front end that closes its own. Every record names the front end and the
epoch of the engine it is meant for; whatever names others is stale.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from .layout import Dims

JobKey = tuple[int, int, int]
"""The front end, its slot, and how often the slot was used before."""


class PacketKind(IntEnum):
    """Kind of a packet."""

    HELLO = 1
    ATTACH = 2
    WORK = 3
    READY = 4
    FAILED = 5
    RESULTS = 6
    LINK = 7
    CREDITS = 8
    MESSAGES = 9
    PING = 10


class Outcome(IntEnum):
    """Outcome of a job."""

    DONE = 1
    FAILED = 2
    EXPIRED = 3
    CANCELLED = 4
    REJECTED = 5


class Origin(NamedTuple):
    """Origin of records: the front end, and the engine process they are meant for.

    Attributes:
        front: The front end's number; no other ever has it. From 1 up to `MAX_FRONT`.
        epoch: Counts the processes of one engine: another after every crash.
    """

    front: int
    epoch: int

    def pack(self) -> bytes:
        """The payload of LINK."""
        return _ORIGIN.pack(*self)

    @classmethod
    def unpack(cls, payload: bytes) -> "Origin":
        """The origin in a payload of LINK."""
        return cls(*_ORIGIN.unpack(payload))


_ORIGIN = struct.Struct("<HI")
MAX_FRONT = (1 << 15) - 1


class Credits(NamedTuple):
    """Credits: rows that may be submitted and not answered, and the bytes of their inputs and outputs."""

    rows: int
    size: int

    def share(self, parties: int) -> "Credits":
        """The share of each of so many front ends."""
        return Credits(max(1, self.rows // parties), max(1, self.size // parties))

    def pack(self) -> bytes:
        """The payload of CREDITS."""
        return _CREDITS.pack(*self)

    @classmethod
    def unpack(cls, payload: bytes) -> "Credits":
        """The credits in a payload of CREDITS."""
        return cls(*_CREDITS.unpack(payload))


_CREDITS = struct.Struct("<QQ")


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
        """The offset of a slot's slab, and its bytes."""
        if slot < self.slots:
            return slot * self.slab_bytes, self.slab_bytes
        return self.slots * self.slab_bytes + (slot - self.slots) * self.large_bytes, self.large_bytes

    def pack(self) -> bytes:
        """The payload of ATTACH."""
        return self._FORMAT.pack(self.slots, self.slab_bytes, self.large_slots, self.large_bytes)

    @classmethod
    def unpack(cls, payload: bytes) -> "Arena":
        """The arena in a payload of ATTACH."""
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
    stale: bool = False


class Result(NamedTuple):
    """Result of a request. The slot is free again; its outputs lie in it, or in memory of their own."""

    slot: int
    generation: int
    outcome: Outcome
    own_memory: bool
    dims: Dims
    stale: bool = False


class SubmitCodec:
    """Submits of one signature, and of one origin, as bytes."""

    def __init__(self, dims_count: int, origin: Origin) -> None:
        """A codec for a signature whose inputs have that many dims."""
        self._struct = struct.Struct(f"<HI???xIIIq{dims_count}q")
        self._front, self._epoch = origin
        self._no_dims = (0,) * dims_count

    def pack(self, submit: Submit) -> bytes:
        """The record as bytes."""
        slot, generation, rows, deadline_ns, own_memory, dims, cancel, exact, _ = submit
        return self._struct.pack(
            self._front, self._epoch, cancel, own_memory, exact, slot, generation, rows, deadline_ns, *dims
        )

    def pack_cancel(self, slot: int, generation: int) -> bytes:
        """The record of a cancellation as bytes."""
        return self._struct.pack(self._front, self._epoch, True, False, False, slot, generation, 0, 0, *self._no_dims)

    def unpack(self, payload: bytes | memoryview) -> Iterator[Submit]:
        """Every record of a packet; those of another origin are marked as stale."""
        mine_front, mine_epoch = self._front, self._epoch
        for (
            front,
            epoch,
            cancel,
            own_memory,
            exact,
            slot,
            generation,
            rows,
            deadline_ns,
            *dims,
        ) in self._struct.iter_unpack(payload):
            stale = front != mine_front or epoch != mine_epoch
            yield Submit(slot, generation, rows, deadline_ns, own_memory, tuple(dims), cancel, exact, stale)


class ResultCodec:
    """Results of one signature, and of one origin, as bytes."""

    def __init__(self, dims_count: int, origin: Origin) -> None:
        """A codec for a signature whose outputs have that many dims."""
        self._struct = struct.Struct(f"<HIB?2xII{dims_count}q")
        self._front, self._epoch = origin
        self._no_dims = (0,) * dims_count

    def pack(self, result: Result) -> bytes:
        """The record as bytes."""
        slot, generation, outcome, own_memory, dims, _ = result
        return self._struct.pack(
            self._front, self._epoch, outcome, own_memory, slot, generation, *(dims or self._no_dims)
        )

    def unpack(self, payload: bytes | memoryview) -> Iterator[Result]:
        """Every record of a packet; those of another origin are marked as stale."""
        mine_front, mine_epoch = self._front, self._epoch
        for front, epoch, outcome, own_memory, slot, generation, *dims in self._struct.iter_unpack(payload):
            stale = front != mine_front or epoch != mine_epoch
            yield Result(slot, generation, Outcome(outcome), own_memory, tuple(dims), stale)
