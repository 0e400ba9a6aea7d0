import asyncio

import grpc
import pytest

from foldserve_server.errors import QueueFull, Unavailable
from foldserve_server.security.admission import AdmissionGate
from tests.server.fakes import FakeEngine, serving

from .calls import listening, predict_request


async def test_a_gate_has_drained_when_all_admitted_calls_are_over() -> None:
    gate = AdmissionGate()
    await gate.check_open()
    with gate.admit():
        draining = asyncio.ensure_future(gate.drain())
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(gate.check_open())
        await asyncio.sleep(0)
        assert not draining.done() and not waiting.done()
    await asyncio.wait_for(draining, 10)
    assert not waiting.done(), "a late call is held until the gate closes"
    gate.close()
    with pytest.raises(Unavailable):
        await waiting


async def test_a_server_that_stops_answers_admitted_calls_and_refuses_late_ones() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        admitted = caller.call("Predict", predict_request())
        await engine.entered.wait()
        stopping = asyncio.ensure_future(caller.rpc.stop(60))
        await asyncio.sleep(0)
        late = asyncio.ensure_future(caller.error("Predict", predict_request()))
        while not caller.rpc.admission_gate.late_calls:
            await asyncio.sleep(0)
        engine.gate.set()
        assert (await admitted).model_spec.version.value == 1
        assert (await late).code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, 10)
        assert len(engine.asked) == 1


def test_more_bytes_than_allowed_are_refused_and_a_single_large_call_is_admitted() -> None:
    gate = AdmissionGate(max_bytes=100)
    with gate.admit(500), pytest.raises(QueueFull, match="requests of 500 bytes"), gate.admit(1):
        pass
    with gate.admit(60), gate.admit(40), pytest.raises(QueueFull), gate.admit(1):
        pass
    with gate.admit(100):
        pass


def test_a_call_that_grows_needs_room_for_its_new_bytes() -> None:
    gate = AdmissionGate(max_bytes=100)
    with gate.admit(10) as alone:
        alone.grow(500)
        with pytest.raises(QueueFull, match="requests of 510 bytes"), gate.admit(1):
            pass
    with gate.admit(60), gate.admit(10) as second:
        second.grow(30)
        with pytest.raises(QueueFull, match="requests of 60 bytes"):
            second.grow(1)
    with gate.admit(100):
        pass


def test_more_calls_than_allowed_are_refused() -> None:
    gate = AdmissionGate(max_calls=2)
    with gate.admit(), gate.admit(), pytest.raises(QueueFull, match="2 calls are being answered"), gate.admit():
        pass
    with gate.admit(), gate.admit():
        pass
