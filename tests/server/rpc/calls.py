"""A gRPC server over fakes, and calls to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np

from foldserve_contract.protos import PredictRequest
from foldserve_contract.protos.methods import MODEL_METHODS, PREDICTION_METHODS
from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from foldserve_contract.signature import Array
from foldserve_contract.tensors import encode
from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.errors import ServingError
from foldserve_server.models.admin import Admin
from foldserve_server.models.model_config import ModelConfig
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.predict.request_options import RequestOptions
from foldserve_server.rpc.server import RpcServer, monotonic_ns
from tests.server.fakes import metric_counters_of, tracer_of

METHODS = {**PREDICTION_METHODS, **MODEL_METHODS, **INFERENCE_METHODS}
ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)
MAX_BYTES = 1 << 20


class Caller:
    """Calls methods by name."""

    def __init__(self, rpc: RpcServer, channel: grpc.aio.Channel) -> None:
        self.rpc = rpc
        self.channel = channel

    def call(self, method: str, request: Any, timeout: float | None = 10) -> Any:
        definition = METHODS[method]
        multi = self.channel.unary_unary(
            definition.path,
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=definition.response.FromString,
        )
        return multi(request, timeout=timeout)

    async def failure(self, method: str, request: Any) -> tuple[grpc.StatusCode, str]:
        error = await self.error(method, request)
        return error.code(), error.details() or ""

    async def error(self, method: str, request: Any) -> grpc.aio.AioRpcError:
        try:
            await self.call(method, request)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"{method} was answered")


class FakeAdmin:
    """Records the requests, and fails with the error it is given."""

    def __init__(self, error: ServingError | None = None) -> None:
        self.asked: list[Sequence[ModelConfig]] = []
        self.changed: list[tuple[str, str]] = []
        self.error = error

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        self.asked.append(models)
        self._answer()

    async def load(self, name: str) -> None:
        self.changed.append(("load", name))
        self._answer()

    async def unload(self, name: str) -> None:
        self.changed.append(("unload", name))
        self._answer()

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(
    table: RoutingTable,
    limits: RequestOptions | None = None,
    *,
    started: bool = True,
    admin: Admin | None = None,
    transport: TransportOptions | None = None,
) -> AsyncIterator[Caller]:
    rpc = RpcServer(
        table,
        admin or FakeAdmin(),
        limits=limits or RequestOptions(),
        transport=transport or TransportOptions(max_message_bytes=MAX_BYTES),
        metric_counters=metric_counters_of(table),
        tracer=tracer_of(table),
        clock=monotonic_ns,
    )
    await rpc.start("127.0.0.1:0")
    if started:
        rpc.health.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel:
            yield Caller(rpc, channel)
    finally:
        await rpc.stop(0)


def predict_request(name: str = "m", **inputs: Array) -> Any:
    request = PredictRequest()
    request.model_spec.name = name
    for key, array in (inputs or {"x": ROWS}).items():
        request.inputs[key].CopyFrom(encode(array))
    return request
