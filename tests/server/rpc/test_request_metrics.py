"""Metrics of calls over gRPC."""

from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.protos.open_inference import INFERENCE_METHODS, ModelInferRequest
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.rpc.classify_regress_service import CLASSIFY
from tests.server.fakes import CountedTable, FakeEngine, manifest, serving

from .calls import ROWS, Caller, listening, predict_request

ONE_VALUE = Signature((TensorSpec("x", "float32", (-1, 1)),), (TensorSpec("y", "float32", (-1, 1)),))


def latencies(table: CountedTable) -> dict[tuple[str, str, str], int]:
    return {key: histogram.total for key, histogram in table.metric_counters.latency.items()}


def infer_request() -> Any:
    request = ModelInferRequest(model_name="m", raw_input_contents=[ROWS.tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=ROWS.shape)
    return request


def examples(method: str, name: str = "m") -> Any:
    request = PREDICTION_METHODS[method].request(model_spec={"name": name})
    for value in (1.0, 2.0):
        feature = request.input.example_list.examples.add().features.feature["x"]
        feature.float_list.value.append(value)
    return request


async def stream(caller: Caller, request: Any) -> None:
    method = INFERENCE_METHODS["ModelStreamInfer"]
    call = caller.channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)(
        iter([request, request]), timeout=10
    )
    assert [bool(answer.error_message) async for answer in call] == [False, False]


async def test_every_method_is_counted_apart() -> None:
    table = serving(FakeEngine())
    async with listening(table) as caller:
        await caller.call("Predict", predict_request())
        await caller.call("ModelInfer", infer_request())
        await stream(caller, infer_request())
    table = table
    assert latencies(table) == {
        ("m", "Predict", "GRPC"): 1,
        ("m", "ModelInfer", "GRPC"): 1,
        ("m", "ModelStreamInfer", "GRPC"): 2,
    }
    assert table.metric_counters.runtime.keys() == {
        ("m", api, "fake") for api in ("Predict", "ModelInfer", "ModelStreamInfer")
    }


async def test_a_request_of_many_tasks_is_one_request() -> None:
    table = serving(FakeEngine(manifest(signature=ONE_VALUE)))
    async with listening(table) as caller:
        await caller.call("Classify", examples("Classify"))
        await caller.call("Regress", examples("Regress"))
        both = PREDICTION_METHODS["MultiInference"].request(input=examples("Classify").input)
        both.tasks.add(model_spec={"name": "m"}, method_name=CLASSIFY)
        both.tasks.add(model_spec={"name": "m"}, method_name="tensorflow/serving/regress")
        await caller.call("MultiInference", both)
    table = table
    assert latencies(table) == {("m", api, "GRPC"): 1 for api in ("Classify", "Regress", "MultiInference")}
    assert table.metric_counters.examples[("m",)].sum == 8, "two examples in each of four tasks"


async def test_requests_that_cannot_be_read_or_name_no_model_are_counted_too() -> None:
    table = serving(FakeEngine())
    async with listening(table) as caller:
        await caller.failure("Predict", b"\xff\xff\xff")
        await caller.failure("Predict", PREDICTION_METHODS["Predict"].request())
        await caller.failure("MultiInference", PREDICTION_METHODS["MultiInference"].request())
        await caller.failure("Predict", predict_request("made-up"))
        await caller.failure("Classify", examples("Classify", "made-up-too"))
        await caller.failure("Classify", examples("Classify"))
    assert table.metric_counters.requests == {
        ("", "INVALID_ARGUMENT"): 3,
        ("unknown", "NOT_FOUND"): 2,
        ("m", "INVALID_ARGUMENT"): 1,
    }
