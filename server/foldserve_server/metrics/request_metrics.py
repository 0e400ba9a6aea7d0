"""Counts requests as their callers see them: by model, method and way in, and what became of them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..context.call import Call
from ..errors import ServingError
from ..models.table import Table
from ..stats.telemetry import UNKNOWN_MODEL, Telemetry


class RequestMetrics:
    """Counts what comes in by one entry point.

    Args:
        table: Tells which models are known.
        telemetry: Counts.
        clock: Nanoseconds.
        entrypoint: `GRPC` or `REST`.
    """

    def __init__(self, table: Table, telemetry: Telemetry, clock: Callable[[], int], entrypoint: str) -> None:
        self._table = table
        self._telemetry = telemetry
        self._clock = clock
        self._entrypoint = entrypoint

    @contextmanager
    def counted(self, call: Call) -> Iterator[None]:
        """What happens inside is one request, for the model that the call names in the end."""
        begun = self._clock()
        try:
            yield
        except BaseException as error:
            self._telemetry.failed(self._known(call.model), _status(error))
            raise
        took_ns = self._clock() - begun
        self._telemetry.answered(self._known(call.model), call.api, self._entrypoint, took_ns)

    def turned_away(self, error: ServingError) -> None:
        """A request ended before anybody looked at what it is."""
        self._telemetry.failed("", error.status)

    def _known(self, model: str) -> str:
        """The name, unless nobody knows it: callers must not make up metrics."""
        return model if not model or self._table.knows(model) else UNKNOWN_MODEL


def _status(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    return error.status if isinstance(error, ServingError) else ServingError.status
