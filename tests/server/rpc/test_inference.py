import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.protos.open_inference import INFERENCE_METHODS, ModelInferRequest
from foldserve_contract.signature import Array
from foldserve_server.core.errors import DeadlineExceeded, QueueFull
from foldserve_server.core.limits import Limits
from foldserve_server.core.servable import Servable
from foldserve_server.core.table import Table
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving

from .calls import ROWS, Caller, listening

Code = grpc.StatusCode
STREAM = INFERENCE_METHODS["ModelStreamInfer"]


def typed_request(rows: Array = ROWS, **fields: Any) -> Any:
    request = ModelInferRequest(model_name="m", **fields)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=rows.shape)
    tensor.contents.fp32_contents.extend(rows.ravel().tolist())
    return request


def raw_request(rows: Array = ROWS, **fields: Any) -> Any:
    request = ModelInferRequest(model_name="m", raw_input_contents=[rows.tobytes()], **fields)
    request.inputs.add(name="x", datatype="FP32", shape=rows.shape)
    return request


def ask(method: str, request: Any, table: Callable[[], Table] | None = None, limits: Limits | None = None) -> Any:
    async def scenario() -> Any:
        async with listening(table() if table else serving(FakeEngine(), version=7), limits) as caller:
            return await caller.call(method, request)

    return asyncio.run(scenario())


def refusal(request: Any, method: str = "ModelInfer", table: Callable[[], Table] | None = None) -> tuple[Code, str]:
    async def scenario() -> tuple[Code, str]:
        async with listening(table() if table else serving(FakeEngine())) as caller:
            return await caller.failure(method, request)

    return asyncio.run(scenario())


def changed(change: Callable[[Any], object], request: Any = None) -> Any:
    request = typed_request() if request is None else request
    change(request)
    return request


def test_typed_contents_are_answered_typed() -> None:
    response = ask("ModelInfer", typed_request(id="a7"))
    (tensor,) = response.outputs
    assert (response.model_name, response.model_version, response.id) == ("m", "7", "a7")
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("y", "FP32", [3, 2])
    assert not response.raw_output_contents
    np.testing.assert_array_equal(np.reshape(tensor.contents.fp32_contents, (3, 2)), ROWS * 2)


def test_raw_contents_are_answered_raw() -> None:
    response = ask("ModelInfer", raw_request())
    (content,) = response.raw_output_contents
    np.testing.assert_array_equal(np.frombuffer(content, "<f4").reshape(3, 2), ROWS * 2)
    assert not response.outputs[0].HasField("contents")


def rename(tensor: Any) -> None:
    tensor.name = "z"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            changed(lambda request: request.__setattr__("model_name", "n")),
            Code.INVALID_ARGUMENT,
            "Request for unknown model: 'n' is not found",
        ),
        (
            changed(lambda request: request.__setattr__("model_version", "9")),
            Code.NOT_FOUND,
            "Request for unknown model: 'm' version 9 is not found",
        ),
        (
            changed(lambda request: request.__setattr__("model_version", "one")),
            Code.INVALID_ARGUMENT,
            "failed to get model version from specified version string 'one', version should be an integral value > 0",
        ),
        (
            changed(lambda request: request.inputs.pop()),
            Code.INVALID_ARGUMENT,
            "expected 1 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing required input(s) ['x']."
            " Please provide all required input(s).",
        ),
        (
            changed(lambda request: rename(request.inputs[0])),
            Code.INVALID_ARGUMENT,
            "unexpected inference input 'z' for model 'm'",
        ),
        (
            changed(lambda request: request.inputs.add().CopyFrom(request.inputs[0])),
            Code.INVALID_ARGUMENT,
            "input 'x' already exists in request",
        ),
        (
            changed(lambda request: request.inputs[0].__setattr__("datatype", "FP64")),
            Code.INVALID_ARGUMENT,
            "inference input 'x' data-type is 'FP64', but model 'm' expects 'FP32'",
        ),
        (
            changed(lambda request: request.inputs[0].__setattr__("datatype", "F32")),
            Code.INVALID_ARGUMENT,
            "inference input 'x' has unknown data-type 'F32'",
        ),
        (
            changed(lambda request: request.inputs[0].shape.append(1)),
            Code.INVALID_ARGUMENT,
            "unexpected shape for input 'x' for model 'm'. Expected [-1,2], got [3,2,1].",
        ),
        (
            changed(lambda request: request.inputs[0].shape.__setitem__(0, -3)),
            Code.INVALID_ARGUMENT,
            "unexpected shape for input 'x' for model 'm'. Expected [-1,2], got [-3,2].",
        ),
        (
            typed_request(np.zeros((5, 2), np.float32)),
            Code.INVALID_ARGUMENT,
            "inference request batch-size must be <= 4 for 'm'",
        ),
        (
            changed(lambda request: request.outputs.add(name="q")),
            Code.INVALID_ARGUMENT,
            "unexpected inference output 'q' for model 'm'",
        ),
        (
            changed(lambda request: request.inputs[0].contents.fp32_contents.pop()),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (fp32_contents of shape [3, 2] must hold 6 values, received 5)",
        ),
        (
            changed(lambda request: request.raw_input_contents.__setitem__(0, b"1234"), raw_request()),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (raw contents of shape [3, 2] must hold 24 bytes, received 4)",
        ),
        (
            changed(lambda request: request.raw_input_contents.append(b""), raw_request()),
            Code.INVALID_ARGUMENT,
            "raw_input_contents holds 2 tensors for 1 inputs of model 'm'; give one for each input, in their order",
        ),
        (
            changed(lambda request: request.raw_input_contents.append(b"")),
            Code.INVALID_ARGUMENT,
            "contents field must not be specified when using raw_input_contents for 'x'",
        ),
        (
            changed(
                lambda request: request.inputs[0].parameters["shared_memory_region"].__setattr__("string_param", "s")
            ),
            Code.UNIMPLEMENTED,
            "'x' lies in shared memory, which this server does not offer; send it",
        ),
    ],
)
def test_a_bad_request_is_answered_in_triton_s_words(request_: Any, code: grpc.StatusCode, message: str) -> None:
    assert refusal(request_) == (code, message)


def test_what_is_known_and_does_not_serve_is_unavailable() -> None:
    def loading() -> Table:
        table = Table()
        table.begin(Servable("m", 3))
        return table

    no_version = (Code.UNAVAILABLE, "Request for unknown model: 'm' has no available versions")
    assert refusal(typed_request(), table=loading) == no_version
    not_ready = (Code.UNAVAILABLE, "Request for unknown model: 'm' version 3 is not at ready state")
    assert refusal(typed_request(model_version="3"), table=loading) == not_ready


def test_more_rows_than_a_batch_are_taken_where_they_are_split() -> None:
    response = ask("ModelInfer", typed_request(np.zeros((5, 2), np.float32)), limits=Limits(split_large=True))
    assert list(response.outputs[0].shape) == [5, 2]


def raising(error: Exception) -> Callable[[], Table]:
    def table() -> Table:
        engine = FakeEngine()
        engine.error = error
        return serving(engine)

    return table


def test_a_full_queue_and_a_passed_timeout_are_told_as_triton_tells_them() -> None:
    full = refusal(typed_request(), table=raising(QueueFull("7 are waiting")))
    assert full == (Code.UNAVAILABLE, "Exceeds maximum queue size: 7 are waiting")
    impatient = typed_request()
    impatient.parameters["timeout"].int64_param = 1_000_000
    expired = refusal(impatient, table=raising(DeadlineExceeded("late")))
    assert expired == (Code.UNAVAILABLE, "Request timeout expired")


def test_the_timeout_of_a_request_bounds_the_engine() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        request = typed_request()
        request.parameters["timeout"].int64_param = 5_000_000
        async with listening(serving(engine)) as caller:
            await caller.call("ModelInfer", request, timeout=60)
            await caller.call("ModelInfer", typed_request(), timeout=60)
        soon, late = engine.deadlines
        assert soon is not None and late is not None
        assert late - soon > 50 * 10**9

    asyncio.run(scenario())


@pytest.mark.parametrize("make", [typed_request, raw_request])
def test_classes_are_given_where_they_are_asked_for(make: Callable[[], Any]) -> None:
    request = make()
    request.outputs.add(name="y").parameters["classification"].int64_param = 1
    response = ask("ModelInfer", request)
    (tensor,) = response.outputs
    assert (tensor.datatype, list(tensor.shape)) == ("BYTES", [3, 1])
    texts = [b"2.000000:1", b"6.000000:1", b"10.000000:1"]
    if response.raw_output_contents:
        joined = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        assert response.raw_output_contents[0] == joined
    else:
        assert list(tensor.contents.bytes_contents) == texts


def test_metadata_and_configuration_describe_the_signature() -> None:
    def table() -> Table:
        return serving(FakeEngine(manifest(signature=TWO_BY_TWO)))

    request = INFERENCE_METHODS["ModelMetadata"].request(name="m")
    metadata = ask("ModelMetadata", request, table)
    told = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in (*metadata.inputs, *metadata.outputs)]
    assert told == [
        ("a", "FP32", [-1, 2]),
        ("b", "INT64", [-1, 3, -1]),
        ("p", "FP32", [-1, 4]),
        ("q", "FP64", [-1, -1]),
    ]
    assert list(metadata.versions) == ["1"]
    config = ask("ModelConfig", INFERENCE_METHODS["ModelConfig"].request(name="m"), table).config
    assert config.max_batch_size == 4 and config.HasField("dynamic_batching")
    assert [list(tensor.dims) for tensor in (*config.input, *config.output)] == [[2], [3, -1], [4], [-1]]


def test_statistics_count_requests_rows_and_batches() -> None:
    async def scenario() -> None:
        async with listening(serving(FakeEngine())) as caller:
            await caller.call("ModelInfer", typed_request())
            await caller.call("ModelInfer", typed_request())
            await caller.failure("ModelInfer", changed(lambda request: request.inputs[0].contents.Clear()))
            (stats,) = (
                await caller.call("ModelStatistics", INFERENCE_METHODS["ModelStatistics"].request())
            ).model_stats
            assert (stats.name, stats.version, stats.inference_count, stats.execution_count) == ("m", "1", 6, 2)
            assert (stats.inference_stats.success.count, stats.inference_stats.fail.count) == (2, 1)
            parts = stats.inference_stats
            assert parts.queue.count == parts.compute_infer.count == 2
            assert parts.success.ns == parts.queue.ns + parts.compute_infer.ns > 0

    asyncio.run(scenario())


def test_the_index_lists_what_failed_with_its_reason() -> None:
    def table() -> Table:
        table = serving(FakeEngine())
        failed = Servable("m", 2)
        table.begin(failed)
        table.end(failed, "it deviates")
        return table

    every = ask("RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(), table).models
    assert [(one.version, one.state, one.reason) for one in every] == [
        ("2", "UNAVAILABLE", "it deviates"),
        ("1", "READY", ""),
    ]
    ready = ask("RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(ready=True), table).models
    assert [one.version for one in ready] == ["1"]


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_models_are_loaded_by_their_folder_alone(method: str) -> None:
    code, message = refusal(INFERENCE_METHODS[method].request(model_name="m"), method)
    assert code is Code.FAILED_PRECONDITION
    assert message.startswith("explicit model load / unload is not allowed if polling is enabled")
    elsewhere = INFERENCE_METHODS[method].request(model_name="m", repository_name="r")
    assert refusal(elsewhere, method) == (Code.UNIMPLEMENTED, "'repository_name' specification is not supported")


def test_a_model_sent_in_a_request_is_not_loaded() -> None:
    request = INFERENCE_METHODS["RepositoryModelLoad"].request(model_name="m")
    request.parameters["config"].string_param = "{}"
    code, message = refusal(request, "RepositoryModelLoad")
    assert code is Code.UNIMPLEMENTED and "bundle alone" in message


def test_what_is_not_offered_says_so() -> None:
    code, message = refusal(INFERENCE_METHODS["LogSettings"].request(), "LogSettings")
    assert (code, message) == (Code.UNIMPLEMENTED, "LogSettings is not offered by this server")


@pytest.mark.parametrize(("version", "ready"), [("", True), ("1", True), ("2", False)])
def test_readiness_of_a_version(version: str, ready: bool) -> None:
    request = INFERENCE_METHODS["ModelReady"].request(name="m", version=version)
    assert ask("ModelReady", request, lambda: serving(FakeEngine())).ready is ready


def test_the_server_is_ready_when_all_that_was_there_is_loaded() -> None:
    async def scenario() -> None:
        async with listening(serving(FakeEngine()), started=False) as caller:
            request = INFERENCE_METHODS["ServerReady"].request()
            assert (await caller.call("ServerLive", INFERENCE_METHODS["ServerLive"].request())).live
            assert not (await caller.call("ServerReady", request)).ready
            caller.rpc.health.start()
            assert (await caller.call("ServerReady", request)).ready

    asyncio.run(scenario())


def stream(caller: Caller) -> Any:
    return caller.channel.stream_stream(
        STREAM.path,
        request_serializer=STREAM.request.SerializeToString,
        response_deserializer=STREAM.response.FromString,
    )(None, timeout=20)


def test_a_stream_is_answered_in_its_order_and_survives_an_error() -> None:
    async def scenario() -> None:
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
        told = [(answer.infer_response.id, answer.error_message) for answer in (first, second, third)]
        assert told == [("1", ""), ("2", "Request for unknown model: 'm' version 9 is not found"), ("3", "")]
        assert first.infer_response.parameters["triton_final_response"].bool_param

    asyncio.run(scenario())


def test_requests_of_one_stream_are_computed_side_by_side() -> None:
    async def scenario() -> None:
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

    asyncio.run(scenario())


def test_who_leaves_a_stream_cancels_what_it_asked() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        engine.gate.clear()
        async with listening(serving(engine)) as caller:
            call = stream(caller)
            await call.write(typed_request())
            await engine.entered.wait()
            call.cancel()
            async with asyncio.timeout(10):
                await caller.rpc.door.shut()
            assert engine.left == 1

    asyncio.run(scenario())


def test_a_stream_that_stays_open_does_not_keep_the_server_from_ending() -> None:
    async def scenario() -> None:
        async with listening(serving(FakeEngine())) as caller:
            call = stream(caller)
            await call.write(typed_request())
            await call.read()
            await asyncio.wait_for(caller.rpc.stop(60), 10)

    asyncio.run(scenario())
