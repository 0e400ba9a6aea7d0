"""grpc.health.v1 over the routing table.

The servicer of `grpc_health` is not used: it holds a lock while it writes, so that one stalled watcher stalls every
change, and nothing ends its watches, so that a server that drains would wait for them until its grace is over.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..core.table import Table

SERVICE = "grpc.health.v1.Health"
OVERALL = ""
_Status = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Says whether each model serves, and under the empty name whether the server does.

    The server as a whole serves once everything that was there at its start is loaded or refused, and while a model
    answers.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._started = False
        self._draining = False
        self._closed = False

    def start(self) -> None:
        """All that was there at the start is loaded or refused."""
        self._started = True
        self._table.changes.ring()

    def drain(self) -> None:
        """From now on nothing serves."""
        self._draining = True
        self._table.changes.ring()

    def close(self) -> None:
        """Ends every watch, after the last status."""
        self._closed = True
        self._table.changes.ring()

    @property
    def serving(self) -> bool:
        """Whether the server as a whole serves."""
        return self._status(OVERALL) == int(_Status.SERVING)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The status now; NOT_FOUND for a model that nothing is known of."""
        status = self._status(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is known of {request.service!r}")
        return _Status(status=status)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """The status now and at every change."""
        told = None
        while True:
            change = self._table.changes.ticket()
            status = self._status(request.service)
            if status != told:
                told = status
                yield _Status(status=status)
            elif self._closed:
                return
            else:
                await change.wait()

    def _status(self, service: str) -> int:
        names = self._table.names()
        if service not in (OVERALL, *names):
            return int(_Status.SERVICE_UNKNOWN)
        asked = names if service == OVERALL else [service]
        serving = not self._draining and any(self._serves(name) for name in asked)
        if service == OVERALL and not self._started:
            serving = False
        return int(_Status.SERVING if serving else _Status.NOT_SERVING)

    def _serves(self, name: str) -> bool:
        servable = self._table.serving(name)
        return servable is not None and servable.available
