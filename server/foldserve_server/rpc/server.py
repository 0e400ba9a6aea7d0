"""The gRPC server: every service on one port."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc

from foldserve_contract.protos.methods import MODEL_SERVICE, PREDICTION_SERVICE
from foldserve_contract.protos.open_inference import INFERENCE_SERVICE

from ..config.transport_options import TransportOptions
from ..context.span import Tracer, untraced
from ..errors import CannotStart
from ..metrics.request_metrics import RequestMetrics
from ..models.admin import Admin
from ..models.routing_table import RoutingTable
from ..open_inference.infer import InferHandler
from ..predict.handler import PredictHandler
from ..predict.request_options import RequestOptions
from ..security.admission import AdmissionGate
from ..stats.metric_counters import MetricCounters
from . import health, reflection
from .authentication import TokenInterceptor
from .live_credentials import live_credentials
from .model_service import ModelServicer
from .open_inference.model_calls import ModelCalls
from .open_inference.servicer import InferenceServicer
from .prediction_service import PredictionServicer

_SERVICES = (PREDICTION_SERVICE, MODEL_SERVICE, INFERENCE_SERVICE)
_MOST = (1 << 31) - 1  # a number of gRPC
_PING_MS = 5_000  # callers may keep idle connections alive; gRPC's default closes such connections


class RpcServer:
    """Serves every gRPC service from `start` on.

    Attributes:
        health: The health servicer.
        admission_gate: Admits the calls of all services but health and reflection.
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
        clock: Callable[[], int],
    ) -> None:
        # 1. what every call passes: authentication, admission, metrics
        self._transport = transport
        self.port = 0
        self.admission_gate = AdmissionGate(
            transport.max_inflight_bytes, transport.max_concurrent_rpcs, metric_counters.start_message
        )
        request_metrics = RequestMetrics(table, metric_counters, clock, "GRPC")
        self._server = grpc.aio.server(
            interceptors=[] if transport.access is None else [TokenInterceptor(transport.access, request_metrics)],
            options=channel_options(transport),
        )
        # 2. the servicers
        predictor = PredictHandler(table, limits, clock, metric_counters, tracer)
        prediction = PredictionServicer(
            table, predictor, clock, transport.max_message_bytes, typed=not transport.tensor_content
        )
        self.health = health.HealthServicer(table, _SERVICES)
        self._inference = InferenceServicer(
            InferHandler(table, predictor, limits, clock), clock, ModelCalls(table, self.health, admin)
        )
        self._reflection = reflection.ReflectionServicer((*_SERVICES, health.SERVICE))
        # 3. their registration
        servicers = (prediction, ModelServicer(table, admin, metric_counters), self._inference)
        services = [servicer.handlers(self.admission_gate, request_metrics) for servicer in servicers]
        self._server.add_generic_rpc_handlers((*services, *self._reflection.handlers()))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)

    async def start(self, address: str) -> None:
        """Begins to listen.

        Raises:
            CannotStart: The address is not available.
        """
        try:
            self.port = self._listen(address)
        except RuntimeError as error:
            raise CannotStart(f"cannot listen on {address}: {error}") from error
        if self._transport.socket_path is not None:
            self._listen_on_socket(self._transport.socket_path)
        await self._server.start()

    def _listen(self, address: str) -> int:
        tls = self._transport.tls
        if tls is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, live_credentials(tls)))

    def _listen_on_socket(self, path: Path) -> None:
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise CannotStart(f"--grpc_socket_path: cannot listen on {path}: {error}") from error

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, answers those that were accepted, and returns after `grace_s` at the latest."""
        begin = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.admission_gate.drain()
        stopping = asyncio.ensure_future(self._server.stop(max(0.0, grace_s - (time.monotonic() - begin))))
        await asyncio.sleep(0)  # callers are notified that this connection takes no more calls
        self.admission_gate.close()
        self.health.close()
        self._reflection.close()
        self._inference.close()
        await stopping
        if self._transport.socket_path is not None:
            self._transport.socket_path.unlink(missing_ok=True)


def monotonic_ns() -> int:
    """The time of CLOCK_MONOTONIC, the clock of all deadlines."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def channel_options(transport: TransportOptions) -> list[tuple[str, int | str]]:
    """Channel arguments of the gRPC server: its own, replaced by those that the operator gave."""
    own: dict[str, int | str] = {
        "grpc.so_reuseport": int(transport.shared_port),  # otherwise a second server would share the port silently
        "grpc.max_receive_message_length": transport.max_message_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": _PING_MS,
    }
    if transport.max_concurrent_streams is not None:
        own["grpc.max_concurrent_streams"] = transport.max_concurrent_streams
    if transport.max_connection_age_s is not None:
        own["grpc.max_connection_age_ms"] = min(int(1000 * transport.max_connection_age_s), _MOST)
    return list((own | dict(transport.channel_arguments)).items())
