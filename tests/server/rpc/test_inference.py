from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.protos.open_inference import ModelInferRequest
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.errors import DeadlineExceeded, QueueFull
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.open_inference.infer_messages import input_tensors
from foldserve_server.predict.request_options import RequestOptions
from tests.server.fakes import FakeEngine, manifest, serving

from .calls import ROWS, listening
from .inference_calls import ask, changed, raw_request, refusal, typed_request

Code = grpc.StatusCode


def test_typed_contents_are_answered_typed() -> None:
    response = ask("ModelInfer", typed_request(id="a7"))
    (tensor,) = response.outputs
    assert (response.model_name, response.model_version, response.id) == ("m", "7", "a7")
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("y", "FP32", [3, 2])
    assert not response.raw_output_contents
    np.testing.assert_array_equal(np.reshape(tensor.contents.fp32_contents, (3, 2)), ROWS * 2)


def test_typed_contents_of_64_bits_keep_every_bit() -> None:
    """Also on both sides of what a signed number may be, of which numpy makes float64."""
    rows = [0, (1 << 63) + 1, (1 << 64) - 1]
    request = ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="UINT64", shape=(3,)).contents.uint64_contents.extend(rows)
    assert input_tensors(request)["x"].read().tolist() == rows


@pytest.mark.parametrize("second", ["fp64_contents", "int_contents", "bool_contents"])
def test_values_in_two_typed_fields_are_refused(second: str) -> None:
    request = typed_request()
    getattr(request.inputs[0].contents, second).append(1)
    with pytest.raises(grpc.RpcError) as caught:
        ask("ModelInfer", request)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert f"values of data-type FP32 are sent in fp32_contents; {second} holds some too" in str(caught.value.details())


def test_values_in_the_field_of_another_type_are_refused() -> None:
    request = typed_request()
    request.inputs[0].contents.Clear()
    request.inputs[0].contents.fp64_contents.extend(ROWS.ravel())
    with pytest.raises(grpc.RpcError, match="fp64_contents holds some too"):
        ask("ModelInfer", request)


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
            Code.NOT_FOUND,
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
            "'x' lies in shared memory, which this server does not offer: send it in the request",
        ),
    ],
)
def test_a_bad_request_is_answered_in_triton_s_words(request_: Any, code: grpc.StatusCode, message: str) -> None:
    assert refusal(request_) == (code, message)


def test_a_version_that_does_not_serve_is_unavailable() -> None:
    def loading() -> RoutingTable:
        table = RoutingTable()
        table.begin(Servable("m", 3))
        return table

    no_version = (Code.NOT_FOUND, "Request for unknown model: 'm' has no available versions")
    assert refusal(typed_request(), table=loading) == no_version
    not_ready = (Code.UNAVAILABLE, "Request for unknown model: 'm' version 3 is not at ready state")
    assert refusal(typed_request(model_version="3"), table=loading) == not_ready


def test_an_ended_version_is_unavailable_and_version_0_does_not_mean_the_default() -> None:
    def ended() -> RoutingTable:
        table = serving(FakeEngine(), version=2)
        table.end(table.find(ModelRef("m")))
        return serving(FakeEngine(), version=1, table=table)

    not_ready = (Code.UNAVAILABLE, "Request for unknown model: 'm' version 2 is not at ready state")
    assert refusal(typed_request(model_version="2"), table=ended) == not_ready
    absent = (Code.NOT_FOUND, "Request for unknown model: 'm' version 0 is not found")
    assert refusal(typed_request(model_version="0"), table=ended) == absent


def test_a_tensor_in_shared_memory_is_refused_as_such_whatever_else_is_sent() -> None:
    def share(request: Any) -> None:
        tensor = request.inputs.add(name="z", datatype="FP32", shape=[3, 2])
        tensor.parameters["shared_memory_region"].string_param = "r"

    x, z, y = (TensorSpec(name, "float32", (-1, 2)) for name in "xzy")
    pair = Signature((x, z), (y,))
    code, words = refusal(changed(share, raw_request()), table=lambda: serving(FakeEngine(manifest(signature=pair))))
    assert code is Code.UNIMPLEMENTED and words.startswith("'z' lies in shared memory")


def test_empty_contents_are_accepted_beside_raw_ones() -> None:
    request = raw_request()
    request.inputs[0].contents.SetInParent()
    (content,) = ask("ModelInfer", type(request).FromString(request.SerializeToString())).raw_output_contents
    np.testing.assert_array_equal(np.frombuffer(content, "<f4").reshape(3, 2), ROWS * 2)


def test_an_output_that_is_asked_for_twice_is_given_once() -> None:
    request = typed_request()
    for _ in range(2):
        request.outputs.add(name="y")
    assert [output.name for output in ask("ModelInfer", request).outputs] == ["y"]


def test_more_rows_than_a_batch_are_accepted_where_they_are_split() -> None:
    response = ask("ModelInfer", typed_request(np.zeros((5, 2), np.float32)), limits=RequestOptions(split_large=True))
    assert list(response.outputs[0].shape) == [5, 2]


def raising(error: Exception) -> Callable[[], RoutingTable]:
    def table() -> RoutingTable:
        engine = FakeEngine()
        engine.error = error
        return serving(engine)

    return table


def test_a_full_queue_and_a_passed_timeout_have_triton_s_messages() -> None:
    full = refusal(typed_request(), table=raising(QueueFull("7 are waiting")))
    assert full == (Code.UNAVAILABLE, "Exceeds maximum queue size: 7 are waiting")
    impatient = typed_request()
    impatient.parameters["timeout"].int64_param = 1_000_000
    expired = refusal(impatient, table=raising(DeadlineExceeded("late")))
    assert expired == (Code.UNAVAILABLE, "Request timeout expired")


async def test_the_timeout_of_a_request_bounds_the_engine() -> None:
    engine = FakeEngine()
    request = typed_request()
    request.parameters["timeout"].int64_param = 5_000_000
    async with listening(serving(engine)) as caller:
        await caller.call("ModelInfer", request, timeout=60)
        await caller.call("ModelInfer", typed_request(), timeout=60)
    soon, late = engine.deadlines
    assert soon is not None and late is not None
    assert late - soon > 50 * 10**9


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
