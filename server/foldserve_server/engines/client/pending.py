"""Requests that were accepted and are not settled, within the credits that the engine granted."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from foldserve_contract.signature import Array
from foldserve_engine.link.packets import Arena, Credits, Submit

from ...errors import QueueFull, ResourceExhausted
from ...stats.counter_store import Counters
from .slabs import RequestSize, SlotView

_GENERATIONS = 1 << 32
_LONGEST_RETRY_MS = 10_000


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that holds a slot until the engine is done with it, even if its caller has left.

    Attributes:
        slot: The number of its slab.
        generation: How often the slot was used before; tells a late result of an earlier request apart.
        size: Its rows, and the bytes of its inputs and outputs.
        future: Its outputs, awaited by its caller.
        view: Its inputs in shared memory.
        submit: The record that was, or is to be, submitted.
        timer: Fires at its deadline.
    """

    slot: int
    generation: int
    size: RequestSize
    future: "asyncio.Future[dict[str, Array]]"
    view: SlotView | None = None
    submit: Submit | None = None
    timer: asyncio.TimerHandle | None = None


class PendingRequests:
    """Slots of requests, bounded by the credits in rows and bytes that the engine granted.

    Attributes:
        max_rows: Rows that may be taken.
        max_bytes: Bytes that may be taken.
        rows: Rows that are taken.
        bytes: Bytes that are taken.
        seconds_per_row: Seconds that a row takes in a full batch, for the retry pushback.
        delay_s: Seconds that an unfilled batch waits for more rows, likewise.
    """

    def __init__(self, arena: Arena, credits: Credits, request_bytes: int, gauge: Counters | None = None) -> None:
        """All slots are free. A gauge, if given, shows the number of taken slots, their rows and bytes."""
        self._gauge = gauge
        self._arena = arena
        self._small = list(range(arena.slots - 1, -1, -1))
        self._large = list(range(arena.all_slots - 1, arena.slots - 1, -1))
        self._generations = [0] * arena.all_slots
        self._requests: list[PendingRequest | None] = [None] * arena.all_slots
        self.max_rows, self.max_bytes = credits
        self._request_bytes = request_bytes
        self.rows = self.bytes = 0
        self.seconds_per_row = self.delay_s = 0.0

    def __len__(self) -> int:
        """Taken slots."""
        return len(self._requests) - len(self._small) - len(self._large)

    @property
    def requests(self) -> int:
        """Taken slots; see `QueueState`."""
        return len(self)

    def __iter__(self) -> Iterator[PendingRequest]:
        """Every request that has a slot."""
        return (request for request in self._requests if request is not None)

    def admit(self, size: RequestSize, future: "asyncio.Future[dict[str, Array]]") -> PendingRequest:
        """Takes a slot for a request.

        Raises:
            ResourceExhausted: It is larger than any may be.
            QueueFull: There is no room now.
        """
        self._check(size)
        slot = self._take_slot(size.total)
        request = PendingRequest(slot, self._generations[slot], size, future)
        self._requests[slot] = request
        self.rows += size.rows
        self.bytes += size.total
        self._update_gauge()
        return request

    def grant(self, credits: Credits) -> None:
        """Replaces the credits; requests beyond them stay."""
        self.max_rows, self.max_bytes = credits

    def find(self, slot: int, generation: int) -> PendingRequest | None:
        """The request in a slot, unless its generation is another."""
        request = self._requests[slot] if slot < len(self._requests) else None
        return request if request is not None and request.generation == generation else None

    def free(self, request: PendingRequest) -> None:
        """Gives a slot back. No engine process may write to it any more."""
        self._requests[request.slot] = None
        self._generations[request.slot] = (request.generation + 1) % _GENERATIONS
        (self._small if request.slot < self._arena.slots else self._large).append(request.slot)
        self.rows -= request.size.rows
        self.bytes -= request.size.total
        self._update_gauge()
        if request.timer is not None:
            request.timer.cancel()
        if request.view is not None and request.view.own is not None:
            request.view.own.close()

    def _update_gauge(self) -> None:
        if self._gauge is not None:
            self._gauge[0], self._gauge[1], self._gauge[2] = len(self), self.rows, self.bytes

    def _take_slot(self, total: int) -> int:
        """A slot whose slab holds the bytes, if one is free; the request gets memory of its own otherwise."""
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
        """Estimated time for the waiting rows, with the delay of the last batch."""
        return min(_LONGEST_RETRY_MS, 1 + int(1000 * (self.delay_s + self.rows * self.seconds_per_row)))
