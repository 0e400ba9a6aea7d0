import asyncio
from typing import Any

import grpc

from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from tests.server.fakes import FakeEngine, serving

from .calls import Caller, listening
from .inference_calls import typed_request

Code = grpc.StatusCode
STREAM = INFERENCE_METHODS["ModelStreamInfer"]


def stream(caller: Caller) -> Any:
    return caller.channel.stream_stream(
        STREAM.path,
        request_serializer=STREAM.request.SerializeToString,
        response_deserializer=STREAM.response.FromString,
    )(None, timeout=20)


async def test_a_stream_is_answered_in_order_and_survives_an_error() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        call = stream(caller)
        for request in (typed_request(id="1"), typed_request(id="2", model_version="9"), typed_request(id="3")):
            await call.write(request)
        await engine.entered.wait()
        engine.gate.set()
        first, second, third = [await call.read() for _ in range(3)]
        await call.done_writing()
        assert await call.code() is Code.OK
    replies = [(answer.infer_response.id, answer.error_message) for answer in (first, second, third)]
    assert replies == [("1", ""), ("2", "Request for unknown model: 'm' version 9 is not found"), ("3", "")]
    assert first.infer_response.parameters["triton_final_response"].bool_param


async def test_requests_of_one_stream_are_computed_concurrently() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        call = stream(caller)
        for _ in range(3):
            await call.write(typed_request())
        while len(engine.asked) < 3:
            engine.entered.clear()
            await asyncio.wait_for(engine.entered.wait(), 10)
        engine.gate.set()
        assert [len((await call.read()).infer_response.outputs) for _ in range(3)] == [1, 1, 1]


async def test_a_caller_who_leaves_a_stream_cancels_its_requests() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        call = stream(caller)
        await call.write(typed_request())
        await engine.entered.wait()
        call.cancel()
        async with asyncio.timeout(10):
            await caller.rpc.admission_gate.drain()
        assert engine.left == 1


async def test_a_stream_that_stays_open_does_not_keep_the_server_from_ending() -> None:
    async with listening(serving(FakeEngine())) as caller:
        call = stream(caller)
        await call.write(typed_request())
        await call.read()
        await asyncio.wait_for(caller.rpc.stop(60), 10)
