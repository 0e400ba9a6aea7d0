import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.errors import DeadlineExceeded, EngineFailed, QueueFull, ResourceExhausted
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.predict.request_options import RequestOptions
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving

from .calls import MAX_BYTES, ask, listening

PREDICT = "/v1/models/m:predict"
TOO_DEEP = "JSON Parse error: lists and objects are nested too deeply"
ROWS = {"instances": [[1, 2], [3, 4.5]]}
DOUBLED = {"predictions": [[2, 4], [6, 9]]}


def version_7() -> RoutingTable:
    return serving(FakeEngine(), version=7)


def failed() -> RoutingTable:
    table = version_7()
    servable = Servable("m", 8)
    table.begin(servable)
    table.end(servable, "it deviates")
    return table


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/m/versions/7:predict", "/v1/models/m/labels/canary:predict"])
def test_a_prediction_is_answered_row_by_row(path: str) -> None:
    def table() -> RoutingTable:
        table = version_7()
        table.relabel("m", {"canary": 7})
        return table

    assert ask(path, ROWS, table) == (200, DOUBLED)


def test_a_prediction_is_answered_by_column() -> None:
    assert ask(PREDICT, {"inputs": {"x": [[1, 2]]}}, version_7) == (200, {"outputs": [[2, 4]]})


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/models/n:predict", ROWS, 404, "Servable not found for request: Latest(n)"),
        ("/v1/models/m/versions/9:predict", ROWS, 404, "Servable not found for request: Specific(m, 9)"),
        ("/v1/models/m/labels/x:predict", ROWS, 400, "Unrecognized servable version label: x"),
        (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, {"instances": [[1, 2, 3]]}, 400, "input 'x': expected shape [-1, 2] (-1 is free), received [1, 3]"),
        (
            PREDICT,
            b'{"instances": ' + b"[" * 100_000,
            400,
            TOO_DEEP,
        ),
        (PREDICT, {"instances": [[1, 2]] * 5}, 400, "Task size 5 is larger than maximum input batch size 4"),
        ("/v1/models/m:explain", ROWS, 400, "Malformed request: POST /v1/models/m:explain"),
        ("/v1/model/m", None, 400, "Malformed request: GET /v1/model/m"),
        ("/v1/models/n", None, 404, "Could not find any versions of model n"),
        ("/v1/models/m/versions/9", None, 404, "Could not find version 9 of model m"),
        ("/v1/models", None, 400, "Missing model name in request."),
        ("/elsewhere", None, 404, "404: Not Found"),
    ],
)
def test_a_bad_request_is_answered_with_a_status_and_a_message(path: str, body: Any, status: int, message: str) -> None:
    assert ask(path, body, version_7) == (status, {"error": message})


@pytest.mark.parametrize("depth", [70, 990, 1_000, 1_500, 2_500, 8_000, 20_000])
@pytest.mark.parametrize("body", ['{"instances": %s}', '{"inputs": {"x": %s}}', '{"inputs": [%s, true]}'])
def test_lists_at_any_depth_are_the_fault_of_the_caller(body: str, depth: int) -> None:
    """At some depths the parser succeeds and what reads its lists fails; at which ones depends on the Python."""
    nested = body.replace("%s", "[" * depth + "1" + "]" * depth)
    status, answer = ask(PREDICT, nested.encode(), version_7)
    assert status == 400 and "error" in answer


def raising(error: Exception) -> Callable[[], RoutingTable]:
    def table() -> RoutingTable:
        engine = FakeEngine()
        engine.error = error
        return serving(engine)

    return table


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (QueueFull("full", 1500), 503, "full"),
        (ResourceExhausted("large"), 429, "large"),
        (DeadlineExceeded("late"), 504, "late"),
        (EngineFailed("/secret"), 500, "the server failed to answer; its log says why"),
        (RuntimeError("/secret"), 500, "the server failed to answer; its log says why"),
    ],
)
def test_each_error_of_the_engine_has_its_status(error: Exception, status: int, message: str) -> None:
    assert ask(PREDICT, ROWS, raising(error)) == (status, {"error": message})


def test_a_lone_surrogate_in_a_request_is_answered_with_valid_json() -> None:
    status, answer = ask(PREDICT, b'{"signature_name": "\\ud800", "instances": []}', version_7)
    assert status == 400 and answer["error"] == 'Serving signature name: "\ud800" not found in signature def'


async def test_an_unavailable_answer_says_when_to_retry() -> None:
    table = raising(QueueFull("full", 1500))()
    async with listening(table) as caller, caller.session.post(PREDICT, json=ROWS) as response:
        assert response.headers.get("Retry-After") == "2"


def test_a_body_that_is_too_large_is_refused() -> None:
    status, answer = ask(PREDICT, b" " * (MAX_BYTES + 1), version_7)
    assert status == 413 and "error" in answer


def test_the_state_of_every_version_is_given() -> None:
    good = {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    bad = {
        "version": "8",
        "state": "END",
        "status": {"error_code": "FAILED_PRECONDITION", "error_message": "it deviates"},
    }
    assert ask("/v1/models/m", None, failed) == (200, {"model_version_status": [bad, good]})
    assert ask("/v1/models/m/versions/7", None, failed) == (200, {"model_version_status": [good]})


def test_metadata_describes_the_signatures() -> None:
    _, metadata = ask("/v1/models/m/metadata", None, lambda: serving(FakeEngine(manifest(signature=TWO_BY_TWO))))
    assert metadata["model_spec"] == {"name": "m", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["b"] == {
        "dtype": "DT_INT64",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}, {"size": "-1", "name": ""}],
            "unknown_rank": False,
        },
        "name": "b:0",
    }


async def test_the_timeout_of_rest_is_the_deadline_of_a_request() -> None:
    engine = FakeEngine()
    for timeout_s in (5, 0):
        async with listening(serving(engine), timeout_s=timeout_s) as caller:
            await caller.post(PREDICT, ROWS)
    timed, untimed = engine.deadlines
    assert timed is not None and untimed is None


WIDE = Signature((TensorSpec("x", "float32", (-1, 10_000)),), (TensorSpec("y", "float32", (-1, 10_000)),))


async def test_large_bodies_are_read_and_written_in_other_processes() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 10_000)).astype(np.float32)

    def table() -> RoutingTable:
        return serving(FakeEngine(manifest(signature=WIDE)))

    async with listening(table()) as caller:
        status, answer = await caller.post(PREDICT, {"instances": rows.tolist()})
        assert status == 200
        np.testing.assert_array_equal(np.array(answer["predictions"], np.float32), rows * 2)
        worse = {"instances": [[*rows[0].tolist()[1:], "1"]]}
        assert (await caller.post(PREDICT, worse))[1] == {
            "error": 'JSON Value: "1" Type: String is not of expected type: float'
        }


async def test_a_caller_who_hangs_up_cancels_the_prediction() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        asking = asyncio.ensure_future(caller.post(PREDICT, ROWS))
        await engine.entered.wait()
        asking.cancel()
        await caller.http.stop(10)
        assert engine.left == 1


async def test_admitted_requests_are_answered_before_the_server_stops() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        asking = asyncio.ensure_future(caller.post(PREDICT, ROWS))
        await engine.entered.wait()
        stopping = asyncio.ensure_future(caller.http.stop(30))
        late = asyncio.ensure_future(caller.post(PREDICT, ROWS))
        while not caller.http.admission_gate.late_calls:
            await asyncio.sleep(0)
        engine.gate.set()
        assert await asking == (200, DOUBLED)
        status, answer = await late
        assert status == 503 and "stopping" in answer["error"]
        await stopping


def test_more_rows_than_a_batch_are_accepted_where_they_are_split() -> None:
    status, answer = ask(PREDICT, {"instances": [[1, 2]] * 5}, version_7, limits=RequestOptions(split_large=True))
    assert status == 200 and len(answer["predictions"]) == 5
