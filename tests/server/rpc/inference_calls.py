"""Requests of the Open Inference Protocol, and their answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from foldserve_contract.protos.open_inference import ModelInferRequest
from foldserve_contract.signature import Array
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.predict.request_options import RequestOptions
from tests.server.fakes import FakeEngine, serving

from .calls import ROWS, listening

Code = grpc.StatusCode


def typed_request(rows: Array = ROWS, **fields: Any) -> Any:
    request = ModelInferRequest(model_name="m", **fields)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=rows.shape)
    tensor.contents.fp32_contents.extend(rows.ravel().tolist())
    return request


def raw_request(rows: Array = ROWS, **fields: Any) -> Any:
    request = ModelInferRequest(model_name="m", raw_input_contents=[rows.tobytes()], **fields)
    request.inputs.add(name="x", datatype="FP32", shape=rows.shape)
    return request


def ask(
    method: str, request: Any, table: Callable[[], RoutingTable] | None = None, limits: RequestOptions | None = None
) -> Any:
    async def scenario() -> Any:
        async with listening(table() if table else serving(FakeEngine(), version=7), limits) as caller:
            return await caller.call(method, request)

    return asyncio.run(scenario())


def refusal(
    request: Any, method: str = "ModelInfer", table: Callable[[], RoutingTable] | None = None
) -> tuple[Code, str]:
    async def scenario() -> tuple[Code, str]:
        async with listening(table() if table else serving(FakeEngine())) as caller:
            return await caller.failure(method, request)

    return asyncio.run(scenario())


def changed(change: Callable[[Any], object], request: Any = None) -> Any:
    request = typed_request() if request is None else request
    change(request)
    return request
