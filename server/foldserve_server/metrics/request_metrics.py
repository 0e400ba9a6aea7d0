"""Per-model request metrics: method, entry point, outcome, latency."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..context.call import Call
from ..errors import ServingError
from ..models.routing_table import RoutingTable
from ..stats.metric_counters import UNKNOWN_MODEL, MetricCounters


class RequestMetrics:
    """Counts the requests of one entry point as their callers see them.

    Args:
        table: The models that are served.
        metric_counters: The counters.
        clock: The time in nanoseconds.
        entrypoint: `GRPC` or `REST`.
    """

    def __init__(
        self, table: RoutingTable, metric_counters: MetricCounters, clock: Callable[[], int], entrypoint: str
    ) -> None:
        self._table = table
        self._metric_counters = metric_counters
        self._clock = clock
        self._entrypoint = entrypoint

    @contextmanager
    def measure(self, call: Call) -> Iterator[None]:
        """Counts and times the block as one request, for the model that `call` names at its end."""
        begun = self._clock()
        try:
            yield
        except BaseException as error:
            self._metric_counters.failed(self._label(call.model), _status(error))
            raise
        took_ns = self._clock() - begun
        self._metric_counters.answered(self._label(call.model), call.api, self._entrypoint, took_ns)

    def reject(self, error: ServingError) -> None:
        """Counts a request that was refused before it was read."""
        self._metric_counters.failed("", error.status)

    def _label(self, model: str) -> str:
        """The model's name, or `unknown` where the table lacks it: callers must not create metrics."""
        return model if not model or self._table.knows(model) else UNKNOWN_MODEL


def _status(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    return error.status if isinstance(error, ServingError) else ServingError.status
