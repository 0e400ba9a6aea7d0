import asyncio

import grpc
import pytest

from foldserve_server.errors import QueueFull, Unavailable
from foldserve_server.security.admission import AdmissionGate
from tests.server.fakes import FakeEngine, serving

from .calls import listening, predict_request


async def test_a_door_is_shut_when_everybody_inside_has_left() -> None:
    door = AdmissionGate()
    await door.knock()
    with door.inside():
        shutting = asyncio.ensure_future(door.shut())
        await asyncio.sleep(0)
        knocking = asyncio.ensure_future(door.knock())
        await asyncio.sleep(0)
        assert not shutting.done() and not knocking.done()
    await asyncio.wait_for(shutting, 10)
    assert not knocking.done(), "it asks for nothing more while it waits"
    door.dismiss()
    with pytest.raises(Unavailable):
        await knocking


async def test_a_server_that_stops_answers_who_was_inside_and_sends_away_who_came_later() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        inside = caller.call("Predict", predict_request())
        await engine.entered.wait()
        stopping = asyncio.ensure_future(caller.rpc.stop(60))
        await asyncio.sleep(0)
        late = asyncio.ensure_future(caller.error("Predict", predict_request()))
        while not caller.rpc.door.knocks:
            await asyncio.sleep(0)
        engine.gate.set()
        assert (await inside).model_spec.version.value == 1
        assert (await late).code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, 10)
        assert len(engine.asked) == 1


def test_more_bytes_than_may_be_inside_are_told_to_come_again_and_a_single_large_one_is_let_in() -> None:
    door = AdmissionGate(max_bytes=100)
    with door.inside(500), pytest.raises(QueueFull, match="requests of 500 bytes"), door.inside(1):
        pass
    with door.inside(60), door.inside(40), pytest.raises(QueueFull), door.inside(1):
        pass
    with door.inside(100):
        pass


def test_a_call_that_turns_out_larger_needs_room_for_what_it_brings() -> None:
    door = AdmissionGate(max_bytes=100)
    with door.inside(10) as alone:
        alone.carry(500)
        with pytest.raises(QueueFull, match="requests of 510 bytes"), door.inside(1):
            pass
    with door.inside(60), door.inside(10) as second:
        second.carry(30)
        with pytest.raises(QueueFull, match="requests of 60 bytes"):
            second.carry(1)
    with door.inside(100):
        pass


def test_more_calls_than_may_be_inside_are_told_to_come_again() -> None:
    door = AdmissionGate(max_calls=2)
    with door.inside(), door.inside(), pytest.raises(QueueFull, match="2 calls are being answered"), door.inside():
        pass
    with door.inside(), door.inside():
        pass
