"""What a version that serves has done, as Triton counts it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..models.servable import Servable
from ..stats.failures import FailureReason


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts since it serves, whatever protocol the requests came in.

    Attributes:
        successes: Requests that were answered.
        failures: Those that were not, by reason.
        rows: Rows that were answered.
        executions: Batches.
        pending: Requests that wait for their batch now.
        success_ns: What all answers took.
        failure_ns: What all failures took.
        queue_ns: How much of `success_ns` was waiting for a batch.
        last_ms: When the latest answer was given, in milliseconds since 1970; 0 before there was one.
    """

    successes: int
    failures: Mapping[FailureReason, int]
    rows: int
    executions: int
    pending: int
    success_ns: int
    failure_ns: int
    queue_ns: int
    last_ms: int

    @classmethod
    def of(cls, servable: Servable) -> "Usage":
        """As it stands.

        Raises:
            Unavailable: The version does not serve.
        """
        stats, load = servable.stats, servable.engine.load
        success_ns = stats.success_ns
        return cls(
            successes=stats.successes,
            failures=stats.failed,
            rows=stats.rows,
            executions=load.sizes.total,
            pending=load.pending,
            success_ns=success_ns,
            failure_ns=stats.failure_ns,
            queue_ns=min(int(1000 * load.waits.sum), success_ns),
            last_ms=stats.last_ms,
        )

    @property
    def compute_ns(self) -> int:
        """What was not waiting for a batch."""
        return self.success_ns - self.queue_ns
