"""Statistics of a version that serves, as Triton counts them."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..models.servable import Servable
from ..stats.failures import FailureReason


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """Counts since the version began to serve, over all protocols.

    Attributes:
        successes: Requests that were answered.
        failures: Requests that failed, by reason.
        rows: Rows that were answered.
        executions: Batches that were computed.
        pending: Requests that wait for their batch now.
        success_ns: The total time of answered requests.
        failure_ns: The total time of failed requests.
        queue_ns: The part of `success_ns` that was spent waiting for a batch.
        last_ms: The time of the latest answer, in milliseconds since 1970; 0 before the first one.
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
    def of(cls, servable: Servable) -> "VersionStatistics":
        """The counts of a version now.

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
        """The part of `success_ns` that was not spent waiting for a batch."""
        return self.success_ns - self.queue_ns
