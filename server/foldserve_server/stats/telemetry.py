"""What happened since the start, counted: by whoever does it, read by whoever is asked for metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .counters import Counters, CounterStore, Key, PrivateCounterStore

MICROSECONDS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
EXAMPLES = tuple(2.0**power for power in range(15))  # and those it counts examples in
UNKNOWN_MODEL = "unknown"
BUSY_BYTES: Key = ("hand",)  # where bytes are counted that were taken in hand since this process last looked up
_PRECISION = 1000


@dataclass(slots=True)
class Histogram:
    """How many values fell into each bucket, their number and their sum.

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
        """How many values there were."""
        return sum(self.counts)

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Telemetry:
    """All that is counted.

    Attributes:
        book: Where.
    """

    def __init__(self, book: CounterStore | None = None) -> None:
        """Counts in the book; by default in one of its own."""
        self.book = PrivateCounterStore() if book is None else book
        self._own: dict[Key, Counters] = {}
        self._hand = self.book.words(BUSY_BYTES, 1)

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """By model and status; the model is empty where none was named."""
        return self._counts("requests")

    @property
    def rows(self) -> Counter[str]:
        """Rows that were answered, by model."""
        return Counter({model: words[0] for (model,), words in self.book.sums("rows").items()})

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
        """How many examples requests to classify and to regress held, by model."""
        return self._histograms("examples", EXAMPLES)

    @property
    def refusals(self) -> Counter[tuple[str, str]]:
        """Versions that were not put or not kept into service, by model and cause."""
        return self._counts("refusals")

    @property
    def loads(self) -> Counter[tuple[str, str, str]]:
        """Attempts to load a version, by model, path and `success` or `fail`."""
        return self._counts("loads")

    @property
    def load_us(self) -> Counter[tuple[str, str]]:
        """Microseconds of those that succeeded, in all, by model and path."""
        return self._counts("load_us")

    @property
    def warmups(self) -> dict[tuple[str, str], Histogram]:
        """Microseconds in which every batch size was warmed, by model and path."""
        return self._histograms("warmups", MICROSECONDS)

    def take_up(self, size: int) -> None:
        """A message of so many bytes is about to be read or written, which may keep this process from all else."""
        self._hand[0] += size

    def look_up(self) -> None:
        """This process is there for whoever watches it."""
        self._hand[0] = 0

    def answered(self, model: str, api: str, entrypoint: str, took_ns: int) -> None:
        """A request was answered."""
        self._add(("requests", model, "OK"))
        self._note(("latency", model, api, entrypoint), took_ns)

    def failed(self, model: str, status: str) -> None:
        """A request was not."""
        self._add(("requests", model, status))

    def ran(self, model: str, api: str, engine: str, rows: int, took_ns: int) -> None:
        """An engine answered so many rows."""
        self._add(("rows", model), rows)
        self._note(("runtime", model, api, engine), took_ns)

    def held(self, model: str, examples: int) -> None:
        """A request held so many examples, and was answered."""
        self._note(("examples", model), examples * _PRECISION, EXAMPLES)

    def loaded(self, model: str, path: str, took_s: float, warm_s: float) -> None:
        """A version was loaded, and warmed meanwhile."""
        self._add(("loads", model, path, "success"))
        self._add(("load_us", model, path), round(took_s * 1e6))
        self._note(("warmups", model, path), round(warm_s * 1e9))

    def not_loaded(self, model: str, path: str) -> None:
        """A version was tried and refused."""
        self._add(("loads", model, path, "fail"))

    def refused(self, model: str, cause: str) -> None:
        """A version was not put into service, or was given up."""
        self._add(("refusals", model, cause))

    def _add(self, key: Key, count: int = 1) -> None:
        words = self._own.get(key)
        if words is None:
            words = self._own[key] = self.book.words(key, 1)
        words[0] += count

    def _note(self, key: Key, thousandths: int, bounds: Sequence[float] = MICROSECONDS) -> None:
        """Counts a value: first the buckets, then the sum, in thousandths."""
        words = self._own.get(key)
        if words is None:
            words = self._own[key] = self.book.words(key, len(bounds) + 2)
        words[bisect_left(bounds, thousandths / _PRECISION)] += 1
        words[len(bounds) + 1] += thousandths

    def _counts(self, kind: str) -> Counter[Any]:
        return Counter({key: words[0] for key, words in self.book.sums(kind).items()})

    def _histograms(self, kind: str, bounds: Sequence[float]) -> dict[Any, Histogram]:
        found = self.book.sums(kind)
        return {key: Histogram(bounds, words[:-1], words[-1] / _PRECISION) for key, words in found.items()}
