import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.protos import GetModelMetadataRequest, GetModelStatusRequest, PredictRequest, SignatureDefMap
from foldserve_contract.tensors import decode
from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.errors import EngineFailed, QueueFull, ResourceExhausted
from foldserve_server.models.routing_table import RoutingTable
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving
from tests.server.running import trailing

from .calls import MAX_BYTES, ROWS, listening, predict_request

Code = grpc.StatusCode


def failure_of(request: Any, method: str = "Predict", table: RoutingTable | None = None) -> tuple[grpc.StatusCode, str]:
    async def scenario() -> tuple[grpc.StatusCode, str]:
        async with listening(table or serving(FakeEngine())) as caller:
            return await caller.failure(method, request)

    return asyncio.run(scenario())


def engine_that_raises(error: Exception) -> Callable[[], FakeEngine]:
    def make() -> FakeEngine:
        engine = FakeEngine()
        engine.error = error
        return engine

    return make


def changed(change: Callable[[Any], Any]) -> Any:
    request = predict_request()
    change(request)
    return request


async def test_an_answer_carries_name_signature_and_version() -> None:
    async with listening(serving(FakeEngine(), version=7)) as caller:
        response = await caller.call("Predict", predict_request())
        spec = response.model_spec
        assert (spec.name, spec.signature_name, spec.version.value) == ("m", "serving_default", 7)
        assert list(response.outputs["y"].float_val) == (ROWS * 2).ravel().tolist()
        assert not response.outputs["y"].tensor_content


async def test_answers_are_in_tensor_content_where_the_server_is_set_to_it() -> None:
    async with listening(serving(FakeEngine()), transport=TransportOptions(tensor_content=True)) as caller:
        response = await caller.call("Predict", predict_request())
        assert response.outputs["y"].tensor_content == (ROWS * 2).tobytes()
        assert not response.outputs["y"].float_val


async def test_typed_fields_are_read_like_tensor_content() -> None:
    request = predict_request()
    request.inputs["x"].ClearField("tensor_content")
    request.inputs["x"].float_val.extend([1, 2])
    async with listening(serving(FakeEngine())) as caller:
        response = await caller.call("Predict", request)
        np.testing.assert_array_equal(decode(response.outputs["y"]), [[2, 4], [4, 4], [4, 4]])


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (PredictRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (predict_request(name=""), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (predict_request(name="n"), Code.NOT_FOUND, "Servable not found for request: Latest(n)"),
        (
            changed(lambda request: request.model_spec.version.__setattr__("value", 9)),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(m, 9)",
        ),
        (
            changed(lambda request: request.model_spec.__setattr__("version_label", "x")),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: x",
        ),
        (
            changed(lambda request: request.model_spec.__setattr__("signature_name", "x")),
            Code.FAILED_PRECONDITION,
            'Serving signature key "x" not found.',
        ),
        (
            changed(lambda request: request.inputs["x"].__setattr__("dtype", 7)),
            Code.INVALID_ARGUMENT,
            "input 'x': expected dtype float32, received string",
        ),
        (
            changed(lambda request: request.inputs["x"].__setattr__("tensor_content", b"1234")),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (tensor_content of shape [3, 2] and dtype float32 must hold 24 bytes, received 4)",
        ),
        (
            changed(lambda request: request.inputs["x"].Clear()),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (its dtype and shape must be given in full)",
        ),
        (
            changed(lambda request: request.inputs["x"].tensor_shape.__setattr__("unknown_rank", True)),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (its dtype and shape must be given in full)",
        ),
    ],
)
def test_a_bad_request_is_answered_in_tensorflow_serving_s_words(
    request_: Any, code: grpc.StatusCode, message: str
) -> None:
    assert failure_of(request_) == (code, message)


def test_bytes_that_are_not_a_request_are_the_caller_s_error() -> None:
    code, message = failure_of(b"\xff\xff\xff")
    assert code is Code.INVALID_ARGUMENT
    assert message.startswith("the request is not a valid tensorflow.serving.PredictRequest")


def test_a_few_bytes_cannot_ask_for_gigabytes() -> None:
    request = predict_request()
    request.inputs["b"].CopyFrom(request.inputs["x"])
    request.inputs["a"].CopyFrom(request.inputs.pop("x"))
    request.inputs["b"].dtype = 9
    request.inputs["b"].ClearField("tensor_content")
    del request.inputs["b"].tensor_shape.dim[:]
    for size in (3, 3, 1 << 40):
        request.inputs["b"].tensor_shape.dim.add(size=size)
    code, message = failure_of(request, table=serving(FakeEngine(manifest(signature=TWO_BY_TWO))))
    assert code is Code.INVALID_ARGUMENT
    assert message.startswith("tensor parsing error: b") and f"{MAX_BYTES:,}" in message


def test_a_long_message_is_cut() -> None:
    code, message = failure_of(changed(lambda request: request.model_spec.__setattr__("signature_name", "x" * 5000)))
    assert code is Code.FAILED_PRECONDITION
    assert len(message) == 1024 + len("...TRUNCATED") and message.endswith("x...TRUNCATED")


@pytest.mark.parametrize(
    ("error", "code", "message", "pushback"),
    [
        (QueueFull("full", 250), Code.UNAVAILABLE, "full", "250"),
        (QueueFull("full"), Code.UNAVAILABLE, "full", "100"),
        (ResourceExhausted("large"), Code.RESOURCE_EXHAUSTED, "large", None),
        (EngineFailed("/secret/path"), Code.INTERNAL, "the server failed to answer; its log says why", None),
        (ZeroDivisionError("secret"), Code.INTERNAL, "the server failed to answer; its log says why", None),
    ],
)
async def test_what_the_engine_raises_becomes_a_status(
    error: Exception, code: grpc.StatusCode, message: str, pushback: str | None, caplog: pytest.LogCaptureFixture
) -> None:

    with caplog.at_level(logging.ERROR):
        async with listening(serving(engine_that_raises(error)())) as caller:
            failure = await caller.error("Predict", predict_request())
            assert (failure.code(), failure.details()) == (code, message)
            assert trailing(failure).get("grpc-retry-pushback-ms") == pushback
    assert (str(error) in caplog.text) == (code is Code.INTERNAL)


def test_a_long_message_in_any_script_still_fits_into_grpc_s_trailers() -> None:
    code, message = failure_of(changed(lambda request: request.model_spec.__setattr__("signature_name", "☃" * 5000)))
    assert code is Code.FAILED_PRECONDITION and message.endswith("☃...TRUNCATED")


async def test_a_caller_who_leaves_cancels_its_own_prediction_only() -> None:
    async with asyncio.timeout(10):
        engine = FakeEngine()
        engine.gate.clear()
        async with listening(serving(engine)) as caller:
            stays, leaves = (caller.call("Predict", predict_request()) for _ in range(2))
            while len(engine.asked) < 2:
                await engine.entered.wait()
                engine.entered.clear()
            leaves.cancel()
            while not engine.left:
                await asyncio.sleep(0)
            engine.gate.set()
            assert (await stays).model_spec.version.value == 1
            assert engine.left == 1


async def test_a_deadline_reaches_the_engine_and_none_stays_none() -> None:
    engine = FakeEngine()
    async with listening(serving(engine)) as caller:
        await caller.call("Predict", predict_request(), timeout=None)
        await caller.call("Predict", predict_request(), timeout=60)
    first, second = engine.deadlines
    assert first is None and second is not None


async def test_a_request_may_ask_for_deterministic_mode() -> None:
    engine = FakeEngine()
    request = predict_request()
    async with listening(serving(engine)) as caller:
        await caller.call("Predict", request)
        request.request_options.deterministic_mode = 1
        await caller.call("Predict", request)
    assert engine.exact == [False, True]


@pytest.mark.parametrize("method", ["Predict", "GetModelMetadata", "Classify", "Regress"])
def test_a_request_without_a_model_is_refused_by_every_method(method: str) -> None:
    assert failure_of(b"", method) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")


def metadata_request(*fields: str, name: str = "m") -> Any:
    request = GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return request


async def test_the_signatures_are_described_as_tensorflow_serving_describes_them() -> None:
    async with listening(serving(FakeEngine(manifest(signature=TWO_BY_TWO)), version=3)) as caller:
        response = await caller.call("GetModelMetadata", metadata_request("signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 3)
    any_ = response.metadata["signature_def"]
    assert any_.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = SignatureDefMap()
    assert any_.Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    b = signature.inputs["b"]
    assert (b.name, b.dtype, [dim.size for dim in b.tensor_shape.dim]) == ("b:0", 9, [-1, 3, -1])
    assert set(signature.outputs) == {"p", "q"}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (GetModelMetadataRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (
            metadata_request(),
            Code.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("x"), Code.INVALID_ARGUMENT, "Metadata field x is not supported"),
        (metadata_request("signature_def", name="n"), Code.NOT_FOUND, "Servable not found for request: Latest(n)"),
    ],
)
def test_bad_requests_for_metadata(request_: Any, code: grpc.StatusCode, message: str) -> None:
    assert failure_of(request_, "GetModelMetadata") == (code, message)


async def test_the_status_lists_versions_highest_first_with_the_reason_of_a_failure() -> None:
    engine = FakeEngine()
    engine.info = replace(engine.info, batches="batches of up to 4 rows; warmed: 1, 4")
    table = serving(engine)
    serving(FakeEngine(), version=2, table=table)
    table.end(table.serving("m"), "x" * 2000)  # type: ignore[arg-type]
    request = GetModelStatusRequest()
    request.model_spec.name = "m"
    async with listening(table) as caller:
        second, first = (await caller.call("GetModelStatus", request)).model_version_status
        assert (second.version, second.state, second.status.error_code) == (2, 50, 9)
        assert second.status.error_message.endswith("x...TRUNCATED")
        assert (first.version, first.state, first.status.error_code) == (1, 30, 0)
        assert first.status.error_message == "batches of up to 4 rows; warmed: 1, 4"
        request.model_spec.version.value = 5
        assert await caller.failure("GetModelStatus", request) == (
            Code.NOT_FOUND,
            "Could not find version 5 of model m",
        )
        assert await caller.failure("GetModelStatus", GetModelStatusRequest()) == (
            Code.INVALID_ARGUMENT,
            "Missing ModelSpec",
        )
