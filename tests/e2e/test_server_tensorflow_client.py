"""TensorFlow Serving's own client package against a real server. Importing it imports TensorFlow: ten seconds."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from foldserve_contract.protos import DESCRIPTORS
from tests.bundles import dense_model, make_bundle
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
    classification: Any
    regression: Any
    inference: Any


@pytest.fixture(scope="module")
def apis() -> Apis:
    if tuple(map(int, version("tensorflow-serving-api").split(".")[:2])) < (2, 21):
        pytest.skip("tensorflow-serving-api before 2.21 is made for protobuf 3 and cannot be imported with 5")
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
            "classification_pb2",
            "regression_pb2",
            "inference_pb2",
        )
        results = [import_module(f"tensorflow_serving.apis.{name}") for name in names]
        return Apis(import_module("tensorflow"), *results)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 4)
    make_bundle(root, "classes", 1, model=dense_model(), labels=("rose", "tulip", "daisy"))
    make_bundle(root, "value", 1, model=dense_model(classes=1))
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


def features(apis: Apis, row: Any) -> Any:
    example = apis.tensorflow.train.Example()
    example.features.feature["features"].float_list.value.extend(row)
    return example


def test_examples_are_classified_and_regressed(apis: Apis, server: Running, prediction: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    classify = apis.classification.ClassificationRequest()
    regress = apis.regression.RegressionRequest()
    for request, name in ((classify, "classes"), (regress, "value")):
        request.model_spec.name = name
        request.input.example_list.examples.extend(features(apis, row) for row in rows)
    results = prediction.Classify(classify, timeout=30).result.classifications
    assert [[item.label for item in row.classes] for row in results] == [["rose", "tulip", "daisy"]] * 3
    scores = server.predict("classes", features=rows)["scores"]
    np.testing.assert_allclose([[item.score for item in row.classes] for row in results], scores, atol=1e-6)
    values = [item.value for item in prediction.Regress(regress, timeout=30).result.regressions]
    np.testing.assert_allclose(values, server.predict("value", features=rows)["scores"][:, 0], atol=1e-6)


def test_several_inferences_go_in_one_request(apis: Apis, server: Running, prediction: Any) -> None:
    row = np.ones((1, 4), np.float32)
    request = apis.inference.MultiInferenceRequest()
    for method in ("classify", "regress"):
        request.tasks.add(method_name=f"tensorflow/serving/{method}").model_spec.name = "value"
    request.input.example_list.examples.append(features(apis, row[0]))
    item, two = prediction.MultiInference(request, timeout=30).results
    expected = pytest.approx(float(server.predict("value", features=row)["scores"][0, 0]), abs=1e-6)
    assert item.classification_result.classifications[0].classes[0].score == expected
    assert two.regression_result.regressions[0].value == expected


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
