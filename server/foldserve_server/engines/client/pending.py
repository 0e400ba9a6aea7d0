"""Requests that were accepted and are not settled, and how many there may be."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from foldserve_contract.signature import Array
from foldserve_engine.link.packets import Arena, Credits, Submit

from ...errors import QueueFull, ResourceExhausted
from ...stats.counters import Counters
from .slabs import RequestSize, SlotView

_GENERATIONS = 1 << 32
_LONGEST_RETRY_MS = 10_000


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request whose slot is taken: until an engine says it is done with it, whoever has left.

    Attributes:
        slot: Its slab.
        generation: How often the slot was used before; with it, a late word on an earlier request is told apart.
        size: What it takes.
        future: What its caller awaits.
        place: Where its inputs lie.
        submit: What was, or is to be, submitted.
        timer: Fires at its deadline.
    """

    slot: int
    generation: int
    size: RequestSize
    future: "asyncio.Future[dict[str, Array]]"
    place: SlotView | None = None
    submit: Submit | None = None
    timer: asyncio.TimerHandle | None = None


class PendingRequests:
    """The slots, and the credits in rows and bytes that the engine granted.

    Attributes:
        max_rows: Rows that may be taken.
        max_bytes: Bytes that may be taken.
        rows: Rows that are taken.
        bytes: Bytes that are taken.
        seconds_per_row: What a row takes in a full batch, for those who are told to come again.
        delay_s: How long an unfilled batch waits for more rows, likewise.
    """

    def __init__(self, arena: Arena, credits: Credits, request_bytes: int, gauge: Counters | None = None) -> None:
        """All slots are free; where there is a gauge, it shows how many are taken, their rows and their bytes."""
        self._gauge = gauge
        self._arena = arena
        self._small = list(range(arena.slots - 1, -1, -1))
        self._large = list(range(arena.all_slots - 1, arena.slots - 1, -1))
        self._generations = [0] * arena.all_slots
        self._calls: list[PendingRequest | None] = [None] * arena.all_slots
        self.max_rows, self.max_bytes = credits
        self._request_bytes = request_bytes
        self.rows = self.bytes = 0
        self.seconds_per_row = self.delay_s = 0.0

    def __len__(self) -> int:
        """Taken slots."""
        return len(self._calls) - len(self._small) - len(self._large)

    @property
    def requests(self) -> int:
        """Taken slots; see `life.Queue`."""
        return len(self)

    def __iter__(self) -> Iterator[PendingRequest]:
        """Every call that has a slot."""
        return (call for call in self._calls if call is not None)

    def admit(self, size: RequestSize, future: "asyncio.Future[dict[str, Array]]") -> PendingRequest:
        """Takes a slot for a request.

        Raises:
            ResourceExhausted: It is larger than any may be.
            QueueFull: There is no room now.
        """
        self._check(size)
        slot = self._take_slot(size.total)
        call = PendingRequest(slot, self._generations[slot], size, future)
        self._calls[slot] = call
        self.rows += size.rows
        self.bytes += size.total
        self._show()
        return call

    def grant(self, credits: Credits) -> None:
        """Says how much may be taken from now on; what is taken beyond it stays."""
        self.max_rows, self.max_bytes = credits

    def find(self, slot: int, generation: int) -> PendingRequest | None:
        """The call in a slot, unless it is another than the one meant."""
        call = self._calls[slot] if slot < len(self._calls) else None
        return call if call is not None and call.generation == generation else None

    def free(self, call: PendingRequest) -> None:
        """Gives a slot back. No engine may know of the call any more."""
        self._calls[call.slot] = None
        self._generations[call.slot] = (call.generation + 1) % _GENERATIONS
        (self._small if call.slot < self._arena.slots else self._large).append(call.slot)
        self.rows -= call.size.rows
        self.bytes -= call.size.total
        self._show()
        if call.timer is not None:
            call.timer.cancel()
        if call.place is not None and call.place.own is not None:
            call.place.own.close()

    def _show(self) -> None:
        if self._gauge is not None:
            self._gauge[0], self._gauge[1], self._gauge[2] = len(self), self.rows, self.bytes

    def _take_slot(self, total: int) -> int:
        """A slot whose slab holds so much, if there is one; the request gets memory of its own otherwise."""
        wants_large = self._arena.slab_bytes < total <= self._arena.large_bytes
        first, second = (self._large, self._small) if wants_large else (self._small, self._large)
        return first.pop() if first else second.pop()

    def _check(self, size: RequestSize) -> None:
        most = min(self._request_bytes, self.max_bytes)
        if size.total > most:
            raise ResourceExhausted(f"the request takes {size.total:,} bytes; at most {most:,} are allowed: send less")
        if size.rows > self.max_rows:
            raise ResourceExhausted(
                f"the request has {size.rows:,} rows; at most {self.max_rows:,} are allowed: send less"
            )
        fits = self.rows + size.rows <= self.max_rows and self.bytes + size.total <= self.max_bytes
        if not fits or not (self._small or self._large):
            raise QueueFull(
                f"{len(self):,} requests of {self.rows:,} rows and {self.bytes:,} bytes are waiting; try again later",
                self._retry_after_ms(),
            )

    def _retry_after_ms(self) -> int:
        """About how long the rows take that are waiting, with the delay of the last batch."""
        return min(_LONGEST_RETRY_MS, 1 + int(1000 * (self.delay_s + self.rows * self.seconds_per_row)))
