"""What happened since the start, counted: by whoever does it, read by whoever is asked for metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

MICROSECONDS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
UNKNOWN_MODEL = "unknown"


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
        requests: By model and status.
        rows: Rows that were answered, by model.
        latency: Microseconds of answered requests, by model and entry point.
        runtime: Microseconds from admission to the engine's answer, by model and engine.
        refusals: Versions that were not put or not kept into service, by model and cause.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.rows: Counter[str] = Counter()
        self.latency: dict[tuple[str, str], Histogram] = {}
        self.runtime: dict[tuple[str, str], Histogram] = {}
        self.refusals: Counter[tuple[str, str]] = Counter()

    def answered(self, model: str, entrypoint: str, rows: int, took_ns: int) -> None:
        """A request was answered."""
        self.requests[model, "OK"] += 1
        self.rows[model] += rows
        _of(self.latency, model, entrypoint).add(took_ns / 1000)

    def failed(self, model: str | None, status: str) -> None:
        """A request was not; None where there is no such model, whose name is not kept."""
        self.requests[UNKNOWN_MODEL if model is None else model, status] += 1

    def ran(self, model: str, engine: str, took_ns: int) -> None:
        """An engine answered."""
        _of(self.runtime, model, engine).add(took_ns / 1000)

    def refused(self, model: str, cause: str) -> None:
        """A version was not put into service, or was given up."""
        self.refusals[model, cause] += 1


def _of(histograms: dict[tuple[str, str], Histogram], model: str, by: str) -> Histogram:
    found = histograms.get((model, by))
    if found is None:
        found = histograms[model, by] = Histogram()
    return found
