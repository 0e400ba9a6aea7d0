"""A page in which an engine says what it is computing, and since when.

It needs no message and survives the engine: after a crash the front end reads which requests were in the batch that
died, and at any time how long a batch has been running.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import starmap
from operator import add

import numpy as np

from ..batching import JobKey
from .memory import Memory

_BATCHES, _STARTED, _ROWS, _JOBS, _PROCESSED, _PADDING, _WAITED_NS, _SIZES = range(8)
SIZE_BOUNDS = tuple(2**power for power in range(16))
WAIT_BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
_WAITS = _SIZES + len(SIZE_BOUNDS) + 1
_FIRST = _WAITS + len(WAIT_BOUNDS_US) + 1


@dataclass(frozen=True, slots=True)
class Running:
    """A batch that is being computed: its start on CLOCK_MONOTONIC, its rows, and whose they are."""

    started_ns: int
    rows: int
    jobs: frozenset[JobKey]


@dataclass(frozen=True, slots=True)
class BatchStats:
    """The batches that were begun.

    Attributes:
        rows: Their rows, padding included.
        padding: Rows that were added as padding.
        waited_ns: How long their requests had waited in the engine's queue, in all.
        sizes: How many batches had up to so many rows; see `SIZE_BOUNDS`.
        waits: How many requests had waited up to so long; see `WAIT_BOUNDS_US`.
    """

    rows: int = 0
    padding: int = 0
    waited_ns: int = 0
    sizes: tuple[int, ...] = (0,) * (len(SIZE_BOUNDS) + 1)
    waits: tuple[int, ...] = (0,) * (len(WAIT_BOUNDS_US) + 1)

    def __add__(self, other: "BatchStats") -> "BatchStats":
        return BatchStats(
            self.rows + other.rows,
            self.padding + other.padding,
            self.waited_ns + other.waited_ns,
            tuple(starmap(add, zip(self.sizes, other.sizes, strict=True))),
            tuple(starmap(add, zip(self.waits, other.waits, strict=True))),
        )


class StatusPage:
    """The page, as either side sees it."""

    def __init__(self, memory: Memory) -> None:
        """A view of a page's memory."""
        self.memory = memory
        self._words = np.frombuffer(memory.map, np.int64)
        self._counts = memoryview(memory.map).cast("q")  # single words are added to in less than half of numpy's time

    @classmethod
    def create(cls, max_jobs: int) -> "StatusPage":
        """A page for batches of up to `max_jobs` jobs."""
        return cls(Memory.create((_FIRST + max_jobs) * 8, "status"))

    @classmethod
    def attach(cls, descriptor: int) -> "StatusPage":
        """The page that another process made."""
        return cls(Memory.attach(descriptor))

    @property
    def batches(self) -> int:
        """How many batches were begun."""
        return int(self._words[_BATCHES])

    def begin(self, jobs: Iterable[JobKey], rows: int, now_ns: int) -> None:
        """Says that a batch is being computed. The start is written last: without it there is no batch."""
        packed = [slot << 32 | generation for slot, generation in jobs]
        words = self._words
        words[_FIRST : _FIRST + len(packed)] = packed
        words[_JOBS], words[_ROWS] = len(packed), rows
        words[_BATCHES] += 1
        words[_STARTED] = now_ns

    def count(self, rows: int, size: int, waits_ns: Iterable[int]) -> None:
        """Counts a batch of `rows` rows padded to `size`, and how long each request of it had waited."""
        words = self._counts
        words[_PROCESSED] += size
        words[_PADDING] += size - rows
        words[_SIZES + bisect_left(SIZE_BOUNDS, size)] += 1
        for wait_ns in waits_ns:
            words[_WAITED_NS] += wait_ns
            words[_WAITS + bisect_left(WAIT_BOUNDS_US, wait_ns / 1000)] += 1

    @property
    def stats(self) -> BatchStats:
        """What was counted."""
        words = self._words[:_FIRST].tolist()
        return BatchStats(
            words[_PROCESSED], words[_PADDING], words[_WAITED_NS], tuple(words[_SIZES:_WAITS]), tuple(words[_WAITS:])
        )

    def end(self) -> None:
        """Says that nothing is being computed."""
        self._words[_STARTED] = 0

    def running(self) -> Running | None:
        """The batch that is being computed, or was when the engine died."""
        words = self._words
        started = int(words[_STARTED])
        if not started:
            return None
        packed = words[_FIRST : _FIRST + int(words[_JOBS])].tolist()
        jobs = frozenset((word >> 32, word & 0xFFFFFFFF) for word in packed)
        return Running(started, int(words[_ROWS]), jobs)
