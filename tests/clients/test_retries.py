"""Retries, deadlines and requests in flight, on a fake transport whose clock moves only by sleeps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foldserve import ChunkSize, Client, Retry, Status
from foldserve.errors import ClientClosed, DeadlineExceeded, InvalidInput, ServerError, Unavailable
from foldserve.transport.protocol import CallFailure, CallResponse, Reply, UnaryCall
from foldserve_contract import tensors
from foldserve_contract.protos import PredictRequest, PredictResponse
from foldserve_contract.protos.methods import PREDICTION_METHODS

from .conftest import Connect
from .fake_transport import AsyncFakeTransport, FakeTransport

PREDICT = PREDICTION_METHODS["Predict"].path
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
BUSY = CallFailure(Status.UNAVAILABLE, "queue full")

Fake = Callable[[Callable[[UnaryCall], Reply]], FakeTransport]


@pytest.fixture
def fake(request: pytest.FixtureRequest) -> Fake:
    return FakeTransport if "sync" in request.node.callspec.id.split("-") else AsyncFakeTransport


class Server:
    """Doubles `x`; the Predict calls listed in `failures` by number (from 0) fail instead."""

    def __init__(self, failures: dict[int, CallFailure] | None = None) -> None:
        self.failures = failures or {}
        self.predicts = 0

    def __call__(self, call: UnaryCall) -> Reply:
        if call.path != PREDICT:
            return CallFailure(Status.UNIMPLEMENTED, "no metadata here")
        number, self.predicts = self.predicts, self.predicts + 1
        if number in self.failures:
            return self.failures[number]
        request = PredictRequest.FromString(call.body)
        response = PredictResponse()
        response.model_spec.version.value = 5
        tensors.encode_into(response.outputs["y"], tensors.decode(request.inputs["x"]) * 2)
        return CallResponse(response.SerializeToString())


def doubled(client: Client, **options: Any) -> Any:
    return client.predict("m", {"x": ROWS}, **options)["y"]


def test_unavailable_is_retried_with_growing_jittered_delays(connect: Connect, fake: Fake) -> None:
    transport = fake(Server({0: BUSY, 1: BUSY, 2: BUSY}))
    client = connect(transport=transport, retry=Retry(initial=1.0, multiplier=3.0))
    np.testing.assert_array_equal(doubled(client), ROWS * 2)
    slept = transport.clock.slept
    assert len(slept) == 3
    for delay, whole in zip(slept, (1.0, 3.0, 5.0), strict=True):  # 9 is capped
        assert whole / 2 <= delay <= whole
    assert len(set(slept)) == 3


def test_an_error_reports_the_number_of_attempts(connect: Connect, fake: Fake) -> None:
    server = Server(dict.fromkeys(range(99), BUSY))
    with pytest.raises(Unavailable, match=r"queue full \(after 3 attempts\)"):
        doubled(connect(transport=fake(server), retry=Retry(attempts=3)))
    assert server.predicts == 3


def test_the_servers_pushback_is_the_delay(connect: Connect, fake: Fake) -> None:
    busy = CallFailure(Status.UNAVAILABLE, "queue full", pushback=2.0)
    transport = fake(Server(dict.fromkeys(range(10), busy)))  # more than `attempts`: the pushback alone decides
    np.testing.assert_array_equal(doubled(connect(transport=transport, retry=Retry(attempts=2))), ROWS * 2)
    assert len(transport.clock.slept) == 10
    assert all(2.0 <= delay <= 2.5 for delay in transport.clock.slept)


def test_a_negative_pushback_forbids_the_retry(connect: Connect, fake: Fake) -> None:
    transport = fake(Server({0: CallFailure(Status.UNAVAILABLE, "go away", pushback=-1)}))
    with pytest.raises(Unavailable, match="go away"):
        doubled(connect(transport=transport))
    assert transport.clock.slept == []


def test_retries_can_be_turned_off(connect: Connect, fake: Fake) -> None:
    transport = fake(Server({0: CallFailure(Status.UNAVAILABLE, "busy", pushback=0.1)}))
    with pytest.raises(Unavailable):
        doubled(connect(transport=transport, retry=Retry(attempts=1)))


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.OK, Status.UNAVAILABLE}))
def test_nothing_but_unavailable_is_retried(connect: Connect, fake: Fake, status: Status) -> None:
    server = Server({0: CallFailure(status, "the reason")})
    with pytest.raises(ServerError, match="the reason") as caught:
        doubled(connect(transport=fake(server)))
    assert (caught.value.status, server.predicts) == (status, 1)


def test_no_retry_goes_past_the_deadline(connect: Connect, fake: Fake) -> None:
    busy = CallFailure(Status.UNAVAILABLE, "queue full", pushback=4.0)
    transport = fake(Server(dict.fromkeys(range(99), busy)))
    with pytest.raises(Unavailable):
        doubled(connect(transport=transport), timeout=10.0)
    assert 1 <= len(transport.clock.slept) <= 2
    timeouts = [call.timeout for call in transport.calls if call.path == PREDICT]
    assert timeouts == sorted(timeouts, reverse=True)
    assert timeouts[0] == 10.0 and timeouts[-1] <= 6.0


def test_a_deadline_that_ends_retries_reports_their_cause(connect: Connect, fake: Fake) -> None:
    late = CallFailure(Status.DEADLINE_EXCEEDED, "Deadline Exceeded")
    with pytest.raises(DeadlineExceeded, match=r"after 2 attempts; the one before: queue full"):
        doubled(connect(transport=fake(Server({0: BUSY, 1: late}))))


def test_every_call_has_a_deadline(connect: Connect, fake: Fake) -> None:
    transport = fake(Server())
    doubled(connect(transport=transport))
    assert [call.timeout for call in transport.calls] == [60.0, 60.0]


def test_an_expired_deadline_is_reported_without_a_call(connect: Connect, fake: Fake) -> None:
    def slow(call: UnaryCall) -> Reply:
        transport.clock.time += 61
        return Server()(call)

    transport = fake(slow)
    with pytest.raises(DeadlineExceeded) as caught:
        doubled(connect(transport=transport))
    assert isinstance(caught.value, TimeoutError)


def test_requests_in_flight_are_limited_and_the_limit_is_used(connect: Connect, fake: Fake) -> None:
    transport = fake(Server())
    client = connect(transport=transport, chunk=ChunkSize(rows=1), in_flight=3)
    answer = client.predict("m", {"x": np.ones((20, 3), np.float32)})["y"]
    assert answer.shape == (20, 3)
    assert transport.most_waiting == 3


def test_an_error_cancels_all_requests_in_flight(connect: Connect, fake: Fake) -> None:
    transport = fake(Server({2: CallFailure(Status.INVALID_ARGUMENT, "row 2 is bad")}))
    client = connect(transport=transport, chunk=ChunkSize(rows=1), in_flight=3)
    with pytest.raises(InvalidInput, match="row 2 is bad"):
        doubled(client)
    assert not transport.waiting
    assert len(transport.cancelled) == 1  # the fourth row's


def test_a_retried_chunk_keeps_its_order(connect: Connect, fake: Fake) -> None:
    transport = fake(Server({1: BUSY, 2: BUSY, 4: BUSY}))
    client = connect(transport=transport, chunk=ChunkSize(rows=1), in_flight=3)
    np.testing.assert_array_equal(doubled(client), ROWS * 2)


def test_an_interrupted_wait_cancels_the_call(connect: Connect, fake: Fake) -> None:
    def interrupt(call: UnaryCall) -> Reply:
        raise KeyboardInterrupt

    transport = fake(interrupt)
    with pytest.raises(KeyboardInterrupt):
        doubled(connect(transport=transport))
    assert not transport.waiting


def test_a_closed_client_refuses_calls_and_closes_its_transport_once(connect: Connect, fake: Fake) -> None:
    transport = fake(Server())
    client = connect(transport=transport)
    client.close()
    with pytest.raises(ClientClosed):
        doubled(client)
    client.close()
    assert transport.closed == 1
