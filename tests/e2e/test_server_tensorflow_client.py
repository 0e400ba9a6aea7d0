"""TensorFlow Serving's own client package against a real server. Importing it imports TensorFlow: ten seconds."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from foldserve_contract.protos import DESCRIPTORS
from tests.bundles import make_bundle
from tests.server.running import Running, images, running

AVAILABLE = 30


@dataclass(frozen=True)
class Apis:
    """The modules of `tensorflow-serving-api`, and TensorFlow."""

    tensorflow: Any
    predict: Any
    metadata: Any
    status: Any
    prediction_service: Any
    prediction_service_grpc: Any
    model_service: Any
    model_service_grpc: Any
    prediction_log: Any


@pytest.fixture(scope="session")
def apis() -> Apis:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = (
            "predict_pb2",
            "get_model_metadata_pb2",
            "get_model_status_pb2",
            "prediction_service_pb2",
            "prediction_service_pb2_grpc",
            "model_service_pb2",
            "model_service_pb2_grpc",
            "prediction_log_pb2",
        )
        found = [import_module(f"tensorflow_serving.apis.{name}") for name in names]
        return Apis(import_module("tensorflow"), *found)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 4)
    with running(root) as server:
        yield server


@pytest.fixture
def prediction(apis: Apis, server: Running) -> Any:
    return apis.prediction_service_grpc.PredictionServiceStub(server.channel)


def request_for(apis: Apis, rows: Any) -> Any:
    request = apis.predict.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["image"].CopyFrom(apis.tensorflow.make_tensor_proto(rows))
    return request


def test_predict_answers_the_package_s_own_stub(apis: Apis, server: Running, prediction: Any) -> None:
    rows = images(3)
    response = prediction.Predict(request_for(apis, rows), timeout=30)
    answered = apis.tensorflow.make_ndarray(response.outputs["scores"])
    np.testing.assert_allclose(answered, server.predict(image=rows)["scores"], atol=1e-6)
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 4)


def test_typed_fields_are_accepted_as_tensorflow_writes_them(apis: Apis, server: Running, prediction: Any) -> None:
    request = request_for(apis, images(1))
    proto = request.inputs["image"]
    proto.ClearField("tensor_content")
    proto.float_val.append(0.25)  # TensorFlow writes a constant so, and reads it as repeated
    response = prediction.Predict(request, timeout=30)
    same = server.predict(image=np.full((1, 8, 8, 3), 0.25, np.float32))["scores"]
    np.testing.assert_allclose(apis.tensorflow.make_ndarray(response.outputs["scores"]), same, atol=1e-6)


def test_a_refusal_reaches_the_stub_as_it_would_from_tensorflow_serving(apis: Apis, prediction: Any) -> None:
    request = request_for(apis, images(1))
    request.inputs["extra"].CopyFrom(request.inputs["image"])
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request, timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == (
        "input size does not match signature: 2!=1 len({extra,image}) != len({image})."
        " Sent extra: {extra}. Missing but required: {}."
    )


def test_the_metadata_unpack_into_the_package_s_signature(apis: Apis, prediction: Any) -> None:
    request = apis.metadata.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    signatures = apis.metadata.SignatureDefMap()
    assert prediction.GetModelMetadata(request, timeout=30).metadata["signature_def"].Unpack(signatures)
    image = signatures.signature_def["serving_default"].inputs["image"]
    assert apis.tensorflow.as_dtype(image.dtype) == apis.tensorflow.float32
    assert apis.tensorflow.TensorShape(image.tensor_shape).as_list() == [None, 8, 8, 3]


def test_the_status_comes_through_the_package_s_model_service(apis: Apis, server: Running) -> None:
    stub = apis.model_service_grpc.ModelServiceStub(server.channel)
    request = apis.status.GetModelStatusRequest()
    request.model_spec.name = "m"
    (status,) = stub.GetModelStatus(request, timeout=30).model_version_status
    assert (status.version, status.state, status.status.error_code) == (4, AVAILABLE, 0)


def test_our_messages_and_services_are_the_package_s(apis: Apis) -> None:
    theirs: dict[str, bytes] = {}
    for module in (apis.prediction_service, apis.model_service, apis.prediction_log):
        collect(module.DESCRIPTOR, theirs)
    ours = {file.name: canonical(file) for file in FileDescriptorSet.FromString(DESCRIPTORS).file}
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if ours[name] != theirs[name]]
    assert not different, "run `make descriptors`"


def collect(file: Any, into: dict[str, bytes]) -> None:
    for dependency in file.dependencies:
        collect(dependency, into)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    into[file.name] = canonical(proto)


def canonical(proto: FileDescriptorProto) -> bytes:
    return proto.SerializeToString(deterministic=True)
