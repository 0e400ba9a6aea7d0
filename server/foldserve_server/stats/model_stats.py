"""What a version has answered since it was put into service."""

import math
import time
from collections.abc import Callable

from .counters import CounterStore, Key, PrivateCounterStore
from .failures import FailureReason

RECENT = 1024
_SUCCESSES, _ROWS, _SUCCESS_NS, _FAILURE_NS, _FAILURES = range(5)
_LAST_MS = _FAILURES + len(FailureReason)
_RING = _LAST_MS + 1
_PLACES = {failure: _FAILURES + place for place, failure in enumerate(FailureReason)}


def _epoch_ms() -> int:
    return time.time_ns() // 1_000_000


class ModelStats:
    """Counts, and how long the latest answers took."""

    def __init__(self, book: CounterStore | None = None, name: str = "", now: Callable[[], int] = _epoch_ms) -> None:
        """Counts under a name in the book; by default in a book of its own. `now` gives milliseconds since 1970."""
        self._now = now
        self._book = PrivateCounterStore() if book is None else book
        self._key: Key = ("tally", name)
        self._words = self._book.words(self._key, _RING + RECENT)

    def succeed(self, rows: int, took_ns: int) -> None:
        """A request was answered."""
        words = self._words
        words[_RING + words[_SUCCESSES] % RECENT] = took_ns
        words[_SUCCESSES] += 1
        words[_ROWS] += rows
        words[_SUCCESS_NS] += took_ns
        words[_LAST_MS] = self._now()

    def fail(self, error: BaseException, took_ns: int) -> None:
        """A request was not answered, but with that error."""
        self._words[_PLACES[FailureReason.of(error)]] += 1
        self._words[_FAILURE_NS] += took_ns

    @property
    def successes(self) -> int:
        """Requests that were answered."""
        return self._sum(_SUCCESSES)

    @property
    def failures(self) -> int:
        """Requests that were not, whoever was to blame."""
        return sum(self.failed.values())

    @property
    def failed(self) -> dict[FailureReason, int]:
        """Requests that were not, by reason."""
        return {failure: self._sum(place) for failure, place in _PLACES.items()}

    @property
    def rows(self) -> int:
        """Rows that were answered."""
        return self._sum(_ROWS)

    @property
    def success_ns(self) -> int:
        """What all answers took, from the decoded request to the outputs."""
        return self._sum(_SUCCESS_NS)

    @property
    def failure_ns(self) -> int:
        """What all failures took."""
        return self._sum(_FAILURE_NS)

    @property
    def last_ms(self) -> int:
        """When the latest answer was given, in milliseconds since 1970; 0 before there was one."""
        return max((words[_LAST_MS] for words in self._book.every(self._key)), default=0)

    def percentiles_ns(self, *shares: float) -> list[int]:
        """For each share, what so many of the latest answers took at most; empty where there are none."""
        rings = (words[_RING : _RING + min(words[_SUCCESSES], RECENT)] for words in self._book.every(self._key))
        ranked = sorted(took_ns for ring in rings for took_ns in ring)
        return [ranked[max(0, math.ceil(share * len(ranked)) - 1)] for share in shares] if ranked else []

    def _sum(self, at: int) -> int:
        return sum(words[at] for words in self._book.every(self._key))
