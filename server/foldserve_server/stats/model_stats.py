"""Statistics of a version since it was put into service."""

import math
import time
from collections.abc import Callable

from .counter_store import CounterStore, Key, PrivateCounterStore
from .failures import FailureReason

RECENT = 1024
_SUCCESSES, _ROWS, _SUCCESS_NS, _FAILURE_NS, _FAILURES = range(5)
_LAST_MS = _FAILURES + len(FailureReason)
_RING = _LAST_MS + 1
_INDEX = {reason: _FAILURES + index for index, reason in enumerate(FailureReason)}


def _epoch_ms() -> int:
    return time.time_ns() // 1_000_000


class ModelStats:
    """Counts of answers and failures, and the latencies of the latest answers."""

    def __init__(self, store: CounterStore | None = None, name: str = "", now: Callable[[], int] = _epoch_ms) -> None:
        """Counts under a name in the store, by default in one of its own; `now` gives milliseconds since 1970."""
        self._now = now
        self._store = PrivateCounterStore() if store is None else store
        self._key: Key = ("model_stats", name)
        self._counters = self._store.counters(self._key, _RING + RECENT)

    def succeed(self, rows: int, took_ns: int) -> None:
        """Counts a request that was answered."""
        counters = self._counters
        counters[_RING + counters[_SUCCESSES] % RECENT] = took_ns
        counters[_SUCCESSES] += 1
        counters[_ROWS] += rows
        counters[_SUCCESS_NS] += took_ns
        counters[_LAST_MS] = self._now()

    def fail(self, error: BaseException, took_ns: int) -> None:
        """Counts a request that ended with an error."""
        self._counters[_INDEX[FailureReason.of(error)]] += 1
        self._counters[_FAILURE_NS] += took_ns

    @property
    def successes(self) -> int:
        """Requests that were answered."""
        return self._sum(_SUCCESSES)

    @property
    def failures(self) -> int:
        """Requests that failed, for any reason."""
        return sum(self.failed.values())

    @property
    def failed(self) -> dict[FailureReason, int]:
        """Requests that failed, by reason."""
        return {reason: self._sum(index) for reason, index in _INDEX.items()}

    @property
    def rows(self) -> int:
        """Rows that were answered."""
        return self._sum(_ROWS)

    @property
    def success_ns(self) -> int:
        """Nanoseconds of all answers, from the decoded request to the outputs."""
        return self._sum(_SUCCESS_NS)

    @property
    def failure_ns(self) -> int:
        """Nanoseconds of all failures."""
        return self._sum(_FAILURE_NS)

    @property
    def last_ms(self) -> int:
        """Time of the latest answer in milliseconds since 1970; 0 before the first."""
        return max((counters[_LAST_MS] for counters in self._store.by_process(self._key)), default=0)

    def percentiles_ns(self, *shares: float) -> list[int]:
        """For each share, the nanoseconds within which it of the latest answers was given; empty without any."""
        processes = self._store.by_process(self._key)
        rings = (counters[_RING : _RING + min(counters[_SUCCESSES], RECENT)] for counters in processes)
        ranked = sorted(took_ns for ring in rings for took_ns in ring)
        return [ranked[max(0, math.ceil(share * len(ranked)) - 1)] for share in shares] if ranked else []

    def _sum(self, index: int) -> int:
        return sum(counters[index] for counters in self._store.by_process(self._key))
