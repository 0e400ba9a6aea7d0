"""What a version has answered since it was put into service."""

import math
from collections import deque
from dataclasses import dataclass, field

RECENT = 1024


@dataclass(slots=True)
class Tally:
    """Counts, and how long the latest answers took.

    Attributes:
        successes: Requests that were answered.
        failures: Requests that were not, whoever was to blame.
        rows: Rows that were answered.
        success_ns: What all answers took, from the decoded request to the outputs.
        failure_ns: What all failures took.
        recent_ns: What each of the latest answers took.
    """

    successes: int = 0
    failures: int = 0
    rows: int = 0
    success_ns: int = 0
    failure_ns: int = 0
    recent_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))

    def succeed(self, rows: int, took_ns: int) -> None:
        """A request was answered."""
        self.successes += 1
        self.rows += rows
        self.success_ns += took_ns
        self.recent_ns.append(took_ns)

    def fail(self, took_ns: int) -> None:
        """A request was not answered."""
        self.failures += 1
        self.failure_ns += took_ns

    def percentiles_ns(self, *shares: float) -> list[int]:
        """For each share, what so many of the latest answers took at most; empty where there are none."""
        ranked = sorted(self.recent_ns)
        return [ranked[max(0, math.ceil(share * len(ranked)) - 1)] for share in shares] if ranked else []
