"""Counts of requests, loads and refusals since the start, for metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .counter_store import Counters, CounterStore, Key, PrivateCounterStore

MICROSECONDS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
EXAMPLES = tuple(2.0**power for power in range(15))  # and those it counts examples in
UNKNOWN_MODEL = "unknown"
BUSY_BYTES: Key = ("busy_bytes",)  # of messages that this process has begun to read or write since its last heartbeat
_PRECISION = 1000


@dataclass(slots=True)
class Histogram:
    """Number of values in each bucket, and their sum.

    Attributes:
        bounds: The upper bound of each bucket but the last, which has none.
    """

    bounds: Sequence[float] = MICROSECONDS
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    @property
    def total(self) -> int:
        """Number of values."""
        return sum(self.counts)

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class MetricCounters:
    """Counts by model, status, method and cause.

    Attributes:
        store: The counters.
    """

    def __init__(self, store: CounterStore | None = None) -> None:
        """Counts in the store; by default in one of its own."""
        self.store = PrivateCounterStore() if store is None else store
        self._own: dict[Key, Counters] = {}
        self._busy_bytes = self.store.counters(BUSY_BYTES, 1)

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """Requests by model and status; the model is empty where none was named."""
        return self._counts("requests")

    @property
    def rows(self) -> Counter[str]:
        """Rows that were answered, by model."""
        return Counter({model: counters[0] for (model,), counters in self.store.totals("rows").items()})

    @property
    def latency(self) -> dict[tuple[str, str, str], Histogram]:
        """Microseconds of answered requests, by model, API and entry point."""
        return self._histograms("latency", MICROSECONDS)

    @property
    def runtime(self) -> dict[tuple[str, str, str], Histogram]:
        """Microseconds from admission to the engine's answer, by model, API and engine."""
        return self._histograms("runtime", MICROSECONDS)

    @property
    def examples(self) -> dict[tuple[str], Histogram]:
        """Examples of requests to classify and to regress, by model."""
        return self._histograms("examples", EXAMPLES)

    @property
    def refusals(self) -> Counter[tuple[str, str]]:
        """Versions that were not put or not kept in service, by model and cause."""
        return self._counts("refusals")

    @property
    def loads(self) -> Counter[tuple[str, str, str]]:
        """Attempts to load a version, by model, path and `success` or `fail`."""
        return self._counts("loads")

    @property
    def load_us(self) -> Counter[tuple[str, str]]:
        """Microseconds of the attempts that succeeded, in all, by model and path."""
        return self._counts("load_us")

    @property
    def warmups(self) -> dict[tuple[str, str], Histogram]:
        """Microseconds in which every batch size was warmed, by model and path."""
        return self._histograms("warmups", MICROSECONDS)

    def start_message(self, size: int) -> None:
        """Adds `size` to the bytes in progress; the supervisor extends this process's heartbeat timeout by them."""
        self._busy_bytes[0] += size

    def heartbeat(self) -> None:
        """Resets the bytes in progress: the event loop runs."""
        self._busy_bytes[0] = 0

    def answered(self, model: str, api: str, entrypoint: str, took_ns: int) -> None:
        """Counts a request that was answered."""
        self._add(("requests", model, "OK"))
        self._record(("latency", model, api, entrypoint), took_ns)

    def failed(self, model: str, status: str) -> None:
        """Counts a request that failed."""
        self._add(("requests", model, status))

    def ran(self, model: str, api: str, engine: str, rows: int, took_ns: int) -> None:
        """Counts rows that an engine answered."""
        self._add(("rows", model), rows)
        self._record(("runtime", model, api, engine), took_ns)

    def answered_examples(self, model: str, examples: int) -> None:
        """Counts the examples of a request that was answered."""
        self._record(("examples", model), examples * _PRECISION, EXAMPLES)

    def loaded(self, model: str, path: str, took_s: float, warm_s: float) -> None:
        """Counts a version that was loaded and warmed."""
        self._add(("loads", model, path, "success"))
        self._add(("load_us", model, path), round(took_s * 1e6))
        self._record(("warmups", model, path), round(warm_s * 1e9))

    def not_loaded(self, model: str, path: str) -> None:
        """Counts a version that was tried and refused."""
        self._add(("loads", model, path, "fail"))

    def refused(self, model: str, cause: str) -> None:
        """Counts a version that was not put into service, or was given up."""
        self._add(("refusals", model, cause))

    def _add(self, key: Key, count: int = 1) -> None:
        counters = self._own.get(key)
        if counters is None:
            counters = self._own[key] = self.store.counters(key, 1)
        counters[0] += count

    def _record(self, key: Key, thousandths: int, bounds: Sequence[float] = MICROSECONDS) -> None:
        """Counts a value: first the buckets, then the sum, in thousandths."""
        counters = self._own.get(key)
        if counters is None:
            counters = self._own[key] = self.store.counters(key, len(bounds) + 2)
        counters[bisect_left(bounds, thousandths / _PRECISION)] += 1
        counters[len(bounds) + 1] += thousandths

    def _counts(self, kind: str) -> Counter[Any]:
        return Counter({key: counters[0] for key, counters in self.store.totals(kind).items()})

    def _histograms(self, kind: str, bounds: Sequence[float]) -> dict[Any, Histogram]:
        totals = self.store.totals(kind).items()
        return {key: Histogram(bounds, counters[:-1], counters[-1] / _PRECISION) for key, counters in totals}
