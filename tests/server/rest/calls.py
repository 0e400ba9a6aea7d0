"""An HTTP server over fakes, and calls to it."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.models.admin import Admin
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.predict.request_options import RequestOptions
from foldserve_server.rest.server import HttpServer
from foldserve_server.rpc.server import monotonic_ns
from tests.server.fakes import metric_counters_of, tracer_of
from tests.server.rpc.calls import FakeAdmin

MAX_BYTES = 1 << 20


class Caller:
    """Sends requests, and returns the status and the JSON of the answer."""

    def __init__(self, http: HttpServer, session: aiohttp.ClientSession) -> None:
        self.http = http
        self.session = session

    async def post(self, path: str, body: Any, **how: Any) -> tuple[int, Any]:
        content = {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
        async with self.session.post(path, **content, **how) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(path) as response:
            return response.status, await response.json()


@asynccontextmanager
async def listening(
    table: RoutingTable,
    limits: RequestOptions | None = None,
    timeout_s: float = 30,
    transport: TransportOptions | None = None,
    admin: Admin | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Caller]:
    http = HttpServer(
        table,
        admin or FakeAdmin(),
        limits=limits or RequestOptions(),
        transport=transport or TransportOptions(max_message_bytes=MAX_BYTES),
        metric_counters=metric_counters_of(table),
        tracer=tracer_of(table),
        clock=monotonic_ns,
        timeout_s=timeout_s,
        ready=lambda: True,
    )
    await http.start(host, 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{http.port}") as session:
            yield Caller(http, session)
    finally:
        await http.stop(0)


def ask(path: str, body: Any = None, table: Callable[[], RoutingTable] = RoutingTable, **how: Any) -> tuple[int, Any]:
    """Sends a POST of the body, or a GET without one, and returns status and JSON."""

    async def scenario() -> tuple[int, Any]:
        async with listening(table(), **how) as caller:
            return await (caller.get(path) if body is None else caller.post(path, body))

    return asyncio.run(scenario())
