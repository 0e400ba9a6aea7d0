"""What happened since the start, counted: by whoever does it, read by whoever is asked for metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

MICROSECONDS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
EXAMPLES = tuple(2.0**power for power in range(15))  # and those it counts examples in
UNKNOWN_MODEL = "unknown"
K = TypeVar("K", bound=tuple[str, ...])


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
        requests: By model and status; the model is empty where none was named.
        rows: Rows that were answered, by model.
        latency: Microseconds of answered requests, by model, API and entry point.
        runtime: Microseconds from admission to the engine's answer, by model, API and engine.
        examples: How many examples requests to classify and to regress held, by model.
        refusals: Versions that were not put or not kept into service, by model and cause.
        loads: Attempts to load a version, by model, path and `success` or `fail`.
        load_us: Microseconds of those that succeeded, in all, by model and path.
        warmups: Microseconds in which every batch size was warmed, by model and path.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.rows: Counter[str] = Counter()
        self.latency: dict[tuple[str, str, str], Histogram] = {}
        self.runtime: dict[tuple[str, str, str], Histogram] = {}
        self.examples: dict[tuple[str], Histogram] = {}
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.loads: Counter[tuple[str, str, str]] = Counter()
        self.load_us: Counter[tuple[str, str]] = Counter()
        self.warmups: dict[tuple[str, str], Histogram] = {}

    def answered(self, model: str, api: str, entrypoint: str, took_ns: int) -> None:
        """A request was answered."""
        self.requests[model, "OK"] += 1
        _of(self.latency, (model, api, entrypoint)).add(took_ns / 1000)

    def failed(self, model: str, status: str) -> None:
        """A request was not."""
        self.requests[model, status] += 1

    def ran(self, model: str, api: str, engine: str, rows: int, took_ns: int) -> None:
        """An engine answered so many rows."""
        self.rows[model] += rows
        _of(self.runtime, (model, api, engine)).add(took_ns / 1000)

    def held(self, model: str, examples: int) -> None:
        """A request held so many examples, and was answered."""
        _of(self.examples, (model,), EXAMPLES).add(examples)

    def loaded(self, model: str, path: str, took_s: float, warm_s: float) -> None:
        """A version was loaded, and warmed meanwhile."""
        self.loads[model, path, "success"] += 1
        self.load_us[model, path] += round(took_s * 1e6)
        _of(self.warmups, (model, path)).add(warm_s * 1e6)

    def not_loaded(self, model: str, path: str) -> None:
        """A version was tried and refused."""
        self.loads[model, path, "fail"] += 1

    def refused(self, model: str, cause: str) -> None:
        """A version was not put into service, or was given up."""
        self.refusals[model, cause] += 1


def _of(histograms: dict[K, Histogram], key: K, bounds: Sequence[float] = MICROSECONDS) -> Histogram:
    found = histograms.get(key)
    if found is None:
        found = histograms[key] = Histogram(bounds)
    return found
