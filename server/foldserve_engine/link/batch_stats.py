"""Batch statistics of an engine: counters in shared memory, in the buckets of TensorFlow Serving's histograms."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from operator import add
from typing import Protocol

SIZE_BOUNDS = tuple(2**power for power in range(14))
WAIT_BOUNDS_US = tuple(100 * 1.2**power for power in range(52))
MOST_BUCKETS = 64
_SIZE_WORDS, _WAIT_WORDS = len(SIZE_BOUNDS) + 1, len(WAIT_BOUNDS_US) + 1
_PROCESSED, _PADDING, _WAITED_NS, _ASKED = range(4)
_SIZES = 4
_WAITS = _SIZES + _SIZE_WORDS
_REQUESTS = _WAITS + _WAIT_WORDS
_BUCKETS = _REQUESTS + _SIZE_WORDS
_BUCKET_WORDS = 2 + _SIZE_WORDS  # its size, the rows that were added, and how many batches had how many of them
WORDS = _BUCKETS + MOST_BUCKETS * _BUCKET_WORDS


class SharedWords(Protocol):
    """Whole numbers in shared memory."""

    def __getitem__(self, at: int, /) -> int:
        """The word at that index."""

    def __setitem__(self, at: int, value: int, /) -> None:
        """Sets the word at that index."""


@dataclass(frozen=True, slots=True)
class Padding:
    """The batches that were padded up to one size.

    Attributes:
        rows: Rows that were added, in all.
        counts: How many batches had up to so many of them; see `SIZE_BOUNDS`.
    """

    rows: int
    counts: tuple[int, ...]

    def __add__(self, other: "Padding") -> "Padding":
        return Padding(self.rows + other.rows, _sums(self.counts, other.counts))


@dataclass(frozen=True, slots=True)
class BatchStats:
    """The batches that were begun.

    Attributes:
        rows: Their rows, padding included.
        padding: Rows that were added as padding.
        waited_ns: How long their requests had waited in the engine's queue, in all.
        requested_rows: Rows of those requests, in all.
        sizes: How many batches had up to so many rows; see `SIZE_BOUNDS`.
        waits: How many requests had waited up to so long; see `WAIT_BOUNDS_US`.
        requests: How many requests had up to so many rows; see `SIZE_BOUNDS`.
        buckets: The padding of each size that batches are padded up to.
    """

    rows: int = 0
    padding: int = 0
    waited_ns: int = 0
    requested_rows: int = 0
    sizes: tuple[int, ...] = (0,) * _SIZE_WORDS
    waits: tuple[int, ...] = (0,) * _WAIT_WORDS
    requests: tuple[int, ...] = (0,) * _SIZE_WORDS
    buckets: tuple[tuple[int, Padding], ...] = ()

    def __add__(self, other: "BatchStats") -> "BatchStats":
        buckets = dict(self.buckets)
        for size, padding in other.buckets:
            buckets[size] = buckets[size] + padding if size in buckets else padding
        return BatchStats(
            self.rows + other.rows,
            self.padding + other.padding,
            self.waited_ns + other.waited_ns,
            self.requested_rows + other.requested_rows,
            _sums(self.sizes, other.sizes),
            _sums(self.waits, other.waits),
            _sums(self.requests, other.requests),
            tuple(sorted(buckets.items())),
        )


class Counts:
    """Writer of the counters."""

    def __init__(self, words: SharedWords, at: int) -> None:
        """Padding is not counted by size before `expect`."""
        self._words = words
        self._at = at
        self._buckets: dict[int, int] = {}

    def expect(self, sizes: Iterable[int]) -> None:
        """Sets the sizes that batches are padded up to; of more than `MOST_BUCKETS`, the first are distinguished."""
        for index, size in enumerate(list(sizes)[:MOST_BUCKETS]):
            place = self._at + _BUCKETS + index * _BUCKET_WORDS
            self._words[place] = size
            self._buckets[size] = place

    def count(self, rows: int, size: int, requests: Iterable[tuple[int, int]]) -> None:
        """Counts a batch of `rows` rows padded to `size`, and of each request how long it had waited and its rows."""
        words, at = self._words, self._at
        words[at + _PROCESSED] += size
        words[at + _PADDING] += size - rows
        words[at + _SIZES + bisect_left(SIZE_BOUNDS, size)] += 1
        for wait_ns, request_rows in requests:
            words[at + _WAITED_NS] += wait_ns
            words[at + _WAITS + bisect_left(WAIT_BOUNDS_US, wait_ns / 1000)] += 1
            words[at + _ASKED] += request_rows
            words[at + _REQUESTS + bisect_left(SIZE_BOUNDS, request_rows)] += 1
        bucket = self._buckets.get(size)
        if bucket is not None:
            words[bucket + 1] += size - rows
            words[bucket + 2 + bisect_left(SIZE_BOUNDS, size - rows)] += 1


def read_stats(words: Sequence[int]) -> BatchStats:
    """The statistics that `WORDS` words hold."""
    return BatchStats(
        words[_PROCESSED],
        words[_PADDING],
        words[_WAITED_NS],
        words[_ASKED],
        tuple(words[_SIZES:_WAITS]),
        tuple(words[_WAITS:_REQUESTS]),
        tuple(words[_REQUESTS:_BUCKETS]),
        tuple(_buckets(words)),
    )


def _buckets(words: Sequence[int]) -> Iterable[tuple[int, Padding]]:
    for place in range(_BUCKETS, WORDS, _BUCKET_WORDS):
        if words[place]:
            yield words[place], Padding(words[place + 1], tuple(words[place + 2 : place + _BUCKET_WORDS]))


def _sums(some: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(starmap(add, zip(some, other, strict=True)))
