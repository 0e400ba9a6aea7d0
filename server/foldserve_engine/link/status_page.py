"""A page in which an engine says what it is computing, and since when.

It needs no message and survives the engine: after a crash the front ends read which requests were in the batch that
died, and whoever watches the engine reads at any time how long a batch has been running.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .batch_stats import WORDS, BatchStats, Counts, read_stats
from .packets import JobKey
from .shared_memory import SharedMemory

_BATCHES, _STARTED, _ROWS, _JOBS, _TURNS, _COUNTS = range(6)
_FIRST = _COUNTS + WORDS


@dataclass(frozen=True, slots=True)
class Running:
    """A batch that is being computed: its start on CLOCK_MONOTONIC, its rows, and whose they are."""

    started_ns: int
    rows: int
    jobs: frozenset[JobKey]

    def of(self, front: int) -> set[tuple[int, int]]:
        """Slot and generation of the requests of one front end."""
        return {(slot, generation) for number, slot, generation in self.jobs if number == front}


class StatusPage:
    """The page, as either side sees it."""

    def __init__(self, memory: SharedMemory) -> None:
        """A view of a page's memory."""
        self.memory = memory
        self._words = np.frombuffer(memory.map, np.int64)
        words = memoryview(memory.map).cast("q")  # single words are added to in less than half of numpy's time
        self._counts = Counts(words, _COUNTS)

    @classmethod
    def create(cls, max_jobs: int) -> "StatusPage":
        """A page for batches of up to `max_jobs` jobs."""
        return cls(SharedMemory.create((_FIRST + max_jobs) * 8, "status"))

    @classmethod
    def attach(cls, descriptor: int) -> "StatusPage":
        """The page that another process made."""
        return cls(SharedMemory.attach(descriptor))

    def carry_on(self, before: "StatusPage") -> None:
        """Goes on counting where the page of an engine that died has stopped."""
        self._words[_COUNTS:_FIRST] = before._words[_COUNTS:_FIRST]

    @property
    def batches(self) -> int:
        """How many batches were begun."""
        return int(self._words[_BATCHES])

    @property
    def turns(self) -> int:
        """How often it has looked for work, or was asked whether it lives."""
        return int(self._words[_TURNS])

    def turn(self) -> None:
        """Says that it has looked for work."""
        self._words[_TURNS] += 1

    def begin(self, jobs: Iterable[JobKey], rows: int, now_ns: int) -> None:
        """Says that a batch is being computed. The start is written last: without it there is no batch."""
        packed = [front << 48 | slot << 32 | generation for front, slot, generation in jobs]
        words = self._words
        words[_FIRST : _FIRST + len(packed)] = packed
        words[_JOBS], words[_ROWS] = len(packed), rows
        words[_BATCHES] += 1
        words[_STARTED] = now_ns

    def expect(self, sizes: Iterable[int]) -> None:
        """See `Counts.expect`."""
        self._counts.expect(sizes)

    def count(self, rows: int, size: int, requests: Iterable[tuple[int, int]]) -> None:
        """See `Counts.count`."""
        self._counts.count(rows, size, requests)

    @property
    def stats(self) -> BatchStats:
        """What was counted."""
        return read_stats(self._words[_COUNTS:_FIRST].tolist())

    def end(self) -> None:
        """Says that nothing is being computed."""
        self._words[_STARTED] = 0

    @property
    def computing(self) -> int:
        """How many requests are in the batch that runs."""
        words = self._words
        return int(words[_JOBS]) if words[_STARTED] else 0

    def running(self) -> Running | None:
        """The batch that is being computed, or was when the engine died."""
        words = self._words
        started = int(words[_STARTED])
        if not started:
            return None
        packed = words[_FIRST : _FIRST + int(words[_JOBS])].tolist()
        jobs = frozenset((word >> 48, word >> 32 & 0xFFFF, word & 0xFFFFFFFF) for word in packed)
        return Running(started, int(words[_ROWS]), jobs)
