"""The whole road: a Keras model is exported, served, and called by clients that were not written here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve import Client
from foldserve_exporter import export_model, fold
from tests.exporter.models import randomise
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def model() -> Any:
    """Baked phases, a nested backbone and two outputs."""
    layers = keras.layers
    image = keras.Input((9, 7, 3), name="image")
    x = layers.BatchNormalization(name="bn_1")(layers.Conv2D(8, 3, padding="same")(image), training=True)
    x = layers.BatchNormalization(name="bn_2")(layers.DepthwiseConv2D(3)(layers.ReLU()(x)))
    backbone = keras.Model(image, layers.GlobalAveragePooling2D()(layers.ReLU()(x)), name="backbone")
    outer = keras.Input((9, 7, 3), name="image")
    features = layers.Dropout(0.3)(backbone(outer))
    outputs = [layers.Dense(4, activation="softmax", name="classes")(features), layers.Dense(1, name="size")(features)]
    return randomise(keras.Model(outer, outputs), 8)


@pytest.fixture(scope="module")
def server(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("models")
    export_model(model, models, "animals", samples=images(40, seed=1))
    with running(models) as server:
        yield server


@pytest.fixture(scope="module")
def expected(model: Any) -> dict[str, np.ndarray]:
    classes, size = fold(model).model.predict(images(20), verbose=0)
    return {"classes": classes, "size": size}


def images(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 9, 7, 3)).astype(np.float32)


def test_a_client_gets_the_folded_models_answers(server: Running, expected: dict[str, np.ndarray]) -> None:
    with Client(server.address) as client:
        answers = client.predict("animals", images(20))
    assert answers.keys() == expected.keys()
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())
    assert np.ptp(expected["classes"], axis=0).max() > 0.01


def test_tensorflows_own_stubs_get_the_folded_models_answers(server: Running, expected: dict[str, np.ndarray]) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "animals"
    request.model_spec.signature_name = "serving_default"
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(images(20)))
    response = stub.Predict(request, timeout=30)
    assert response.model_spec.version.value == 1
    for name, wanted in expected.items():
        answer = tf.make_ndarray(response.outputs[name])
        np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(images(1).ravel().tolist(), shape=(1, 9, 7, 3)))
    alone = tf.make_ndarray(stub.Predict(request, timeout=30).outputs["classes"])
    np.testing.assert_allclose(alone, expected["classes"][:1], atol=1e-5)


def test_the_version_directory_loads_in_tensorflow_itself(server: Running, expected: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    [version] = [Path(line.split("loading ")[1].strip()) for line in server.log if "animals/1: loading" in line]
    loaded = tf.saved_model.load(str(version))
    answers = loaded.signatures["serving_default"](image=tf.constant(images(20)))
    np.testing.assert_allclose(answers["classes"].numpy(), expected["classes"], atol=1e-5)
