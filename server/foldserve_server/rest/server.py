"""The HTTP server: both REST interfaces, the metrics and the page on one port."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

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
from ..models.routing_table import RoutingTable
from ..open_inference.catalogue import ModelCatalogue
from ..open_inference.infer import InferHandler
from ..predict.handler import Clock, PredictHandler
from ..predict.request_options import RequestOptions
from ..security.admission import AdmissionGate
from ..stats.metric_counters import MetricCounters
from ..system.address import bind_all
from ..system.version import NAME
from . import request_body, status
from .acceptor import Acceptor
from .connection import HttpConnection
from .idle_timeout import IdleTimeout
from .json_pool import JsonPool
from .log_filter import filtered_log
from .metrics_endpoint import MetricsEndpoint
from .page.page import ROOT, Page
from .request_body import STALLED_S
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
_NO_TOKEN_NEEDED = (ROOT, LIVE, READY)  # the page holds no data, and asks for a token; load balancers have none


class HttpServer:
    """Serves HTTP from `start` on.

    Attributes:
        admission_gate: Admits the requests.
        idle_timeout: Closes connections without requests.
        port: The port; 0 before `start`.
    """

    def __init__(
        self,
        table: RoutingTable,
        admin: Admin,
        *,
        limits: RequestOptions,
        transport: TransportOptions,
        metric_counters: MetricCounters,
        tracer: Tracer = untraced,
        clock: Clock,
        timeout_s: float,
        ready: Callable[[], bool],
    ) -> None:
        """A prediction may take `timeout_s`, 0 for any time; `ready` gives the readiness of the server as a whole."""
        # 1. what every request passes: authentication, admission, metrics
        self._transport = transport
        self.port = 0
        self.admission_gate = AdmissionGate(
            transport.max_inflight_bytes, transport.max_concurrent_rpcs, metric_counters.start_message
        )
        self._request_metrics = RequestMetrics(table, metric_counters, clock, "REST")
        self._clock, self._timeout_ns = clock, int(timeout_s * 1e9)
        # 2. the two interfaces, which share the predictor and the pool
        self._json_pool = JsonPool(transport.max_message_bytes, timeout_s)
        predictor = PredictHandler(table, limits, clock, metric_counters, tracer)
        self._v1 = PredictRoutes(
            table, predictor, self._json_pool, self._deadline, transport.max_message_bytes, limits.split_large
        )
        inference = InferHandler(table, predictor, limits, clock)
        self._v2 = InferRoutes(
            InferServices(inference, ModelCatalogue(table), admin, self._json_pool, ready, self._deadline)
        )
        # 3. the application
        metrics = MetricsEndpoint(table, metric_counters).routes(transport.metrics_path)
        app = self._application([*self._v2.routes(), *Page(table, clock).routes(), *metrics])
        self._runner = web.AppRunner(app, handler_cancellation=True, logger=filtered_log())
        self._acceptor: Acceptor | None = None
        self.idle_timeout = IdleTimeout(self._connections)
        self._idle_watch: asyncio.Future[None] | None = None

    def _application(self, routes: list[web.RouteDef]) -> web.Application:
        """The application with these routes besides TensorFlow Serving's, which `PredictRoutes` tells apart itself."""
        app = web.Application(client_max_size=self._transport.max_message_bytes, middlewares=[self._respond])
        expecting: dict[str, Any] = {"expect_handler": _check_expectation}
        app.router.add_route("*", "/{v1:[vV]1}/{rest:.*}", self._v1.answer, **expecting)
        app.router.add_routes(
            web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, **expecting}) for route in routes
        )
        app.router.add_route("*", "/{unknown:.*}", _refuse_unknown, **expecting)  # the library would invite its body
        return app

    async def start(self, host: str, port: int) -> None:
        """Begins to listen.

        Raises:
            CannotStart: The address is not available.
        """
        await self._runner.setup()
        tls = self._transport.tls
        self.port, sockets = bind_all(host, port)
        self._acceptor = Acceptor(sockets, self._connection, None if tls is None else tls.context(), STALLED_S)
        try:
            self._acceptor.start()
        except OSError as error:
            self._acceptor.stop()
            raise CannotStart(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
        self._idle_watch = asyncio.ensure_future(self.idle_timeout.run())

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and returns after `grace_s` at the latest."""
        end = time.monotonic() + grace_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.admission_gate.drain()
        self.admission_gate.close()
        if self._idle_watch is not None:
            self._idle_watch.cancel()
        if self._acceptor is not None:
            self._acceptor.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(_LEAST_S, end - time.monotonic())):
                await self._runner.cleanup()
        self._json_pool.close()

    def _connection(self) -> HttpConnection:
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None, "the acceptor is stopped before the server"
        no_log: Any = None
        return HttpConnection(server, loop=loop, logger=filtered_log(), access_log=no_log, auto_decompress=False)

    def _connections(self) -> list[RequestHandler]:
        return [] if self._runner.server is None else self._runner.server.connections

    def _deadline(self) -> int | None:
        return self._clock() + self._timeout_ns if self._timeout_ns else None

    @web.middleware
    async def _respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers every request, with the headers that every response has."""
        connection = request.protocol
        self.idle_timeout.request_seen(connection)
        assert isinstance(connection, HttpConnection)
        connection.begin(request)
        try:
            return await self._respond_in_time(request, handler)
        finally:
            connection.end()

    async def _respond_in_time(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._transport.cors and request.method == "OPTIONS":
            return web.Response(headers=_CORS)
        response = await self._answer(request, handler)
        if "Expect" in request.headers and not request.content.is_eof():
            response.force_close()  # the body that was not read may come or not
        response.headers["Server"] = NAME
        if self._transport.cors:
            response.headers.update(_CORS)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Measures the request, and turns errors into responses."""
        names = self._v1.api_and_model(request) or self._v2.api_and_model(request)
        call = Call(f"{request.method} {request.path}", lambda: _headers(request), *(names or ()))
        set_call(call)
        try:
            with contextlib.nullcontext() if names is None else self._request_metrics.measure(call):
                return await self._admit(request, handler)
        except ServingError as error:
            return _failure(request, error)
        except web.HTTPException as error:
            return _error(error.status, error.text or error.reason)
        except Exception:
            log.exception("%s failed", _request_line(request))
            return _error(status.INTERNAL, status.INTERNAL_MESSAGE)

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Authenticates the caller and admits the request."""
        if self._transport.access is not None and request.path not in _NO_TOKEN_NEEDED:
            set_rights(self._transport.access.authenticate(request.headers.get("Authorization")))
        await self.admission_gate.check_open()
        with self.admission_gate.admit(request_body.announced_size(request)) as admission:
            request_body.set_admission(admission)
            return await handler(request)


async def _check_expectation(request: web.Request) -> web.StreamResponse | None:
    """Invites no body yet, as a header `Expect: 100-continue` asks for: `read_body` does. Others are refused."""
    if isinstance(request.protocol, HttpConnection):
        request.protocol.take(request)
    expected = request.headers.get("Expect", "")
    if expected.lower() == "100-continue":
        return None
    response = _error(status.EXPECTATION_FAILED, f"Unknown Expect: {expected:.100}")
    response.headers["Server"] = NAME
    return response


async def _refuse_unknown(request: web.Request) -> web.StreamResponse:
    """Refuses a path that no route has, or a method that the path's routes do not have."""
    resources = [resource for resource in request.app.router.resources() if resource.canonical != "/{unknown}"]
    methods = {method for resource in resources for method in (await resource.resolve(request))[1]}
    raise web.HTTPMethodNotAllowed(request.method, methods) if methods else web.HTTPNotFound


def _headers(request: web.Request) -> dict[str, str]:
    return {key.lower(): value for key, value in request.headers.items()}


def _request_line(request: web.Request) -> str:
    """Method and path for the log; the path is still percent-encoded, so that it holds no line break."""
    return f"{request.method} {request.rel_url.raw_path}"


def _failure(request: web.Request, error: ServingError) -> web.Response:
    if isinstance(error, EngineFailed):
        log.error("%s: %s", _request_line(request), error)
    response = _error(status.status_of(error), status.message_text(error))
    response.headers.update(status.headers(error))
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _error(code: int, message: str) -> web.Response:
    return web.Response(status=code, body=dump({"error": message}), content_type=JSON)
