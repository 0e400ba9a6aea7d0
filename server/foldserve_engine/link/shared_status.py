"""Shared status: memory in which an engine publishes its running batch and its statistics.

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
    """Running batch: its start on CLOCK_MONOTONIC, its rows, and the requests they belong to."""

    started_ns: int
    rows: int
    jobs: frozenset[JobKey]

    def of(self, front: int) -> set[tuple[int, int]]:
        """Slot and generation of the requests of one front end."""
        return {(slot, generation) for number, slot, generation in self.jobs if number == front}


class SharedStatus:
    """The status, as either side sees it."""

    def __init__(self, memory: SharedMemory) -> None:
        """A view of its memory."""
        self.memory = memory
        self._words = np.frombuffer(memory.map, np.int64)
        words = memoryview(memory.map).cast("q")  # single words are added to in less than half of numpy's time
        self._counts = Counts(words, _COUNTS)

    @classmethod
    def create(cls, max_jobs: int) -> "SharedStatus":
        """A status for batches of up to `max_jobs` jobs."""
        return cls(SharedMemory.create((_FIRST + max_jobs) * 8, "status"))

    @classmethod
    def attach(cls, descriptor: int) -> "SharedStatus":
        """The status that another process made."""
        return cls(SharedMemory.attach(descriptor))

    def carry_on(self, before: "SharedStatus") -> None:
        """Goes on counting where the status of an engine that died has stopped."""
        self._words[_COUNTS:_FIRST] = before._words[_COUNTS:_FIRST]

    @property
    def batches(self) -> int:
        """Number of batches that were begun."""
        return int(self._words[_BATCHES])

    @property
    def turns(self) -> int:
        """Number of turns of the engine's loop: it looked for work, or received a ping."""
        return int(self._words[_TURNS])

    def turn(self) -> None:
        """Counts a turn of the loop."""
        self._words[_TURNS] += 1

    def begin(self, jobs: Iterable[JobKey], rows: int, now_ns: int) -> None:
        """Publishes a running batch. The start is written last: without it there is no batch."""
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
        """The batch statistics."""
        return read_stats(self._words[_COUNTS:_FIRST].tolist())

    def end(self) -> None:
        """Publishes that no batch is running."""
        self._words[_STARTED] = 0

    @property
    def computing(self) -> int:
        """Number of requests in the running batch."""
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
