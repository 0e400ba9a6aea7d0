"""grpc.health.v1 over the routing table.

The servicer of `grpc_health` is not used: it holds a lock while it writes, so that one stalled watcher stalls every
change, and its watches do not end, so that a server that drains would wait for them until its grace is over.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..models.routing_table import RoutingTable

SERVICE = "grpc.health.v1.Health"
LIST = f"/{SERVICE}/List"
OVERALL = ""
_Status = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Reports the health of each model by its name, and of the server under the empty name.

    The server as a whole serves once every model that was present at its start is loaded or refused, and while at least
    one model is available. So do the services that it offers, by their names, with and without their package.
    """

    def __init__(self, table: RoutingTable, services: Iterable[str] = ()) -> None:
        self._table = table
        self._services = {OVERALL, *(part for name in services for part in (name, name.rpartition(".")[2]))}
        self._started = False
        self._draining = False
        self._closed = False

    def start(self) -> None:
        """Reports the server as serving: every model that was present at the start is loaded or refused."""
        self._started = True
        self._table.changes.ring()

    def drain(self) -> None:
        """Reports from now on that nothing serves."""
        self._draining = True
        self._table.changes.ring()

    def close(self) -> None:
        """Ends every watch, after the last status."""
        self._closed = True
        self._table.changes.ring()

    @property
    def serving(self) -> bool:
        """True if the server as a whole serves."""
        return self._status(OVERALL) == int(_Status.SERVING)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The status now; NOT_FOUND for an unknown model."""
        status = self._status(request.service)
        if status == _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is known of {request.service!r}")
        return _Status(status=status)

    async def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The status of the server and of every model that the caller has rights to."""
        message = health_pb2.HealthListResponse()
        for service in (OVERALL, *self._table.names()):
            message.statuses[service].status = self._status(service)
        return message

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """The status now and at every change."""
        last = None
        while True:
            change = self._table.changes.ticket()
            status = self._status(request.service)
            if status != last:
                last = status
                yield _Status(status=status)
            elif self._closed:
                return
            else:
                await change.wait()

    def _status(self, service: str) -> int:
        names = self._table.names()
        overall = service not in names
        if overall and service not in self._services:
            return int(_Status.SERVICE_UNKNOWN)
        models = names if overall else [service]
        serving = not self._draining and any(self._serves(name) for name in models)
        if overall and not self._started:
            serving = False
        return int(_Status.SERVING if serving else _Status.NOT_SERVING)

    def _serves(self, name: str) -> bool:
        servable = self._table.serving(name)
        return servable is not None and servable.available
