import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from tests.server.fakes import FakeEngine, serving

from .calls import Caller, listening

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def stub(caller: Caller) -> Any:
    return health_pb2_grpc.HealthStub(caller.channel)


async def check(caller: Caller, service: str = "") -> int:
    response = await stub(caller).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    return int(response.status)


async def watch(caller: Caller, service: str = "") -> AsyncIterator[int]:
    async for response in stub(caller).Watch(health_pb2.HealthCheckRequest(service=service), timeout=10):
        yield response.status


async def test_the_server_does_not_serve_before_a_model_is_loaded() -> None:
    table = RoutingTable()
    async with listening(table) as caller:
        overall, model = watch(caller), watch(caller, "m")
        assert (await anext(overall), await anext(model)) == (NOT_SERVING, UNKNOWN)
        servable = Servable("m", 1)
        table.begin(servable)
        assert await anext(model) == NOT_SERVING
        table.publish(servable, FakeEngine())
        assert (await anext(overall), await anext(model)) == (SERVING, SERVING)


async def test_the_server_as_a_whole_waits_for_the_models_present_at_its_start() -> None:
    async with listening(serving(FakeEngine()), started=False) as caller:
        assert (await check(caller), await check(caller, "m")) == (NOT_SERVING, SERVING)
        caller.rpc.health.start()
        assert await check(caller) == SERVING


async def test_an_engine_that_restarts_is_not_serving_and_its_neighbour_is() -> None:
    engine, table = FakeEngine(), serving(FakeEngine(), name="n")
    serving(engine, table=table)
    async with listening(table) as caller:
        model = watch(caller, "m")
        assert await anext(model) == SERVING
        engine.available = False
        table.changes.ring()
        assert await anext(model) == NOT_SERVING
        assert (await check(caller, "n"), await check(caller)) == (SERVING, SERVING)
        engine.available = True
        table.changes.ring()
        assert await anext(model) == SERVING


async def test_draining_is_reported_to_every_watch_and_stopping_ends_it() -> None:
    async with listening(serving(FakeEngine())) as caller:
        watches = [watch(caller, service) for service in ("", "m", "x")]
        assert [await anext(stream) for stream in watches] == [SERVING, SERVING, UNKNOWN]
        caller.rpc.health.drain()
        assert [await anext(stream) for stream in watches[:2]] == [NOT_SERVING, NOT_SERVING]
        await asyncio.wait_for(caller.rpc.stop(60), 10)
        for stream in watches:
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


async def test_an_unknown_model_is_not_found() -> None:
    async with listening(RoutingTable()) as caller:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(caller, "m")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["tensorflow.serving.PredictionService", "PredictionService", "ModelService"])
async def test_a_service_that_is_offered_serves_as_the_server_does(name: str) -> None:
    table = serving(FakeEngine())
    async with listening(table, started=False) as caller:
        assert await check(caller, name) == NOT_SERVING
        caller.rpc.health.start()
        assert await check(caller, name) == SERVING
        (servable,) = table.status(ModelRef("m"))
        table.unload(servable)
        assert await check(caller, name) == NOT_SERVING
        serving(FakeEngine(), name="ModelService", table=table)
        table.unload(table.status(ModelRef("ModelService"))[0])
        assert await check(caller, "ModelService") == NOT_SERVING, "a model of that name comes first"


@pytest.mark.skipif(
    not hasattr(health_pb2, "HealthListRequest"), reason="grpcio-health-checking before 1.85 has no List"
)
async def test_the_list_holds_the_server_and_every_model() -> None:
    table = serving(FakeEngine())
    table.begin(Servable("n", 1))
    async with listening(table) as caller:
        response = await stub(caller).List(health_pb2.HealthListRequest(), timeout=10)
        assert {name: health.status for name, health in response.statuses.items()} == {
            "": SERVING,
            "m": SERVING,
            "n": NOT_SERVING,
        }
