"""The HTTP server: REST and the page on one port."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from ..config.transport_options import TransportOptions
from ..context.call import Call, set_call
from ..context.rights import set_rights
from ..context.span import Tracer, untraced
from ..errors import CannotStart, EngineFailed, ServingError, Unauthenticated
from ..metrics.request_metrics import RequestMetrics
from ..models.admin import Admin
from ..models.table import Table
from ..open_inference.catalogue import ModelCatalogue
from ..open_inference.infer import InferHandler
from ..predict.handler import Clock, PredictHandler
from ..predict.request_limits import RequestLimits
from ..security.admission import AdmissionGate
from ..stats.telemetry import Telemetry
from ..system.version import NAME
from . import metrics_endpoint, request_body, status
from .idle_timeout import IdleTimeout
from .json_pool import JsonPool
from .log_filter import filtered_log
from .page.page import ROOT, Page
from .v1.predict_json import dump
from .v1.predict_routes import JSON, PredictRoutes
from .v2.infer_routes import LIVE, READY, InferRoutes, InferServices

log = logging.getLogger(__name__)
_LEAST_S = 0.1  # for answers that are being written
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, Inference-Header-Content-Length, X-Request-Id",
    "Access-Control-Expose-Headers": "Inference-Header-Content-Length",
}
_OPEN = (ROOT, LIVE, READY)  # the page holds nothing, and asks for a token; balancers have none


class HttpServer:
    """Listens from `start` on; `port` is then the real one."""

    def __init__(
        self,
        table: Table,
        limits: RequestLimits,
        transport: TransportOptions,
        clock: Clock,
        timeout_s: float,
        admin: Admin,
        ready: Callable[[], bool],
        telemetry: Telemetry,
        tracer: Tracer = untraced,
    ) -> None:
        """A prediction may take `timeout_s`, 0 for any time; `ready` tells whether the server as a whole is."""
        self.port = 0
        self.door = AdmissionGate(transport.max_inflight_bytes, transport.max_concurrent_rpcs, telemetry.start_message)
        self._transport = transport
        self._ledger = RequestMetrics(table, telemetry, clock, "REST")
        self._offload = JsonPool(transport.max_message_bytes, timeout_s)
        self._clock, self._timeout_ns = clock, int(timeout_s * 1e9)
        predictor = PredictHandler(table, limits, clock, telemetry, tracer)
        most = transport.max_message_bytes
        self._rest = PredictRoutes(table, predictor, self._offload, self._deadline, most, limits.split_large)
        inference = InferHandler(table, predictor, limits, clock)
        parts = InferServices(inference, ModelCatalogue(table), admin, self._offload, ready, self._deadline)
        self._v2 = InferRoutes(parts)
        app = web.Application(client_max_size=transport.max_message_bytes, middlewares=[self._guard])
        app.router.add_route("*", "/{v1:[vV]1}/{rest:.*}", self._rest.answer)
        app.router.add_routes(self._v2.routes())
        app.router.add_routes(Page(table, clock).routes())
        app.router.add_routes(metrics_endpoint.MetricsEndpoint(table, telemetry).routes(transport.metrics_path))
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, logger=filtered_log(), auto_decompress=False
        )
        self.silence = IdleTimeout(self._open)
        self._watching: asyncio.Future[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Begins to listen.

        Raises:
            CannotStart: The address cannot be had.
        """
        await self._runner.setup()
        try:
            tls = self._transport.tls
            await web.TCPSite(self._runner, host, port, ssl_context=None if tls is None else tls.context()).start()
        except OSError as error:
            raise CannotStart(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
        self.port = self._runner.addresses[0][1]
        self._watching = asyncio.ensure_future(self.silence.watch())

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and ends after the grace at the latest."""
        end = time.monotonic() + grace_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.door.shut()
        self.door.dismiss()
        if self._watching is not None:
            self._watching.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(_LEAST_S, end - time.monotonic())):
                await self._runner.cleanup()
        self._offload.close()

    def _open(self) -> list[RequestHandler]:
        return [] if self._runner.server is None else self._runner.server.connections

    def _deadline(self) -> int | None:
        return self._clock() + self._timeout_ns if self._timeout_ns else None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.silence.heard(request.protocol)
        if self._transport.cors and request.method == "OPTIONS":
            return web.Response(headers=_CORS)
        response = await self._answer(request, handler)
        response.headers["Server"] = NAME
        if self._transport.cors:
            response.headers.update(_CORS)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        names = self._rest.names(request) or self._v2.names(request)
        asked = Call(f"{request.method} {request.path}", lambda: _headers(request), *(names or ()))
        set_call(asked)
        try:
            with contextlib.nullcontext() if names is None else self._ledger.counted(asked):
                return await self._admit(request, handler)
        except ServingError as error:
            return _failure(request, error)
        except web.HTTPException as error:
            return _error(error.status, error.text or error.reason)
        except Exception:
            log.exception("%s failed", _asked(request))
            return _error(status.INTERNAL, status.UNTOLD)

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._transport.access is not None and request.path not in _OPEN:
            set_rights(self._transport.access.identify(request.headers.get("Authorization")))
        await self.door.knock()
        with self.door.inside(request_body.size_of(request)) as visit:
            request_body.enter(visit)
            return await handler(request)


def _headers(request: web.Request) -> dict[str, str]:
    return {key.lower(): value for key, value in request.headers.items()}


def _asked(request: web.Request) -> str:
    """For the log; the path as it came, in which no line can end."""
    return f"{request.method} {request.rel_url.raw_path}"


def _failure(request: web.Request, error: ServingError) -> web.Response:
    if isinstance(error, EngineFailed):
        log.error("%s: %s", _asked(request), error)
    response = _error(status.status_of(error), status.words(error))
    response.headers.update(status.headers(error))
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _error(code: int, message: str) -> web.Response:
    return web.Response(status=code, body=dump({"error": message}), content_type=JSON)
