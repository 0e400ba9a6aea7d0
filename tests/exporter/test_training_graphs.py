"""Training graphs as their authors write them: losses with labels, embeddings, and what they answer in inference."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Source
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind
from foldserve_exporter import export_model
from foldserve_exporter.emit.purity import require_pure
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import trace
from foldserve_exporter.graph.labels import label_notes
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.steps.fold import FoldedModel, fold_model

from .models import flat, randomise, snapshot

L, ops = keras.layers, keras.ops
IMAGE = (12, 10, 3)


class CtcLayer(keras.layers.Layer):
    """The endpoint of Keras' captcha example: it adds a loss and returns the predictions."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.shape(y_pred)[0]
        lengths = [ops.full((rows,), ops.shape(y)[1], dtype="int32") for y in (y_true, y_pred)]
        self.add_loss(ops.mean(ops.ctc_loss(ops.cast(y_true, "int32"), y_pred, *lengths)))
        return y_pred


class CtcAlone(keras.layers.Layer):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        lengths = [ops.full((ops.shape(y_pred)[0],), n, dtype="int32") for n in (5, 10)]
        return ops.expand_dims(ops.ctc_loss(ops.cast(y_true, "int32"), y_pred, *lengths), -1)


class ArcFace(keras.layers.Layer):
    """Logits with an angular margin for the class of the label."""

    def build(self, shapes: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shapes[0][-1], 6))

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        cosine = ops.matmul(ops.normalize(x, axis=1), ops.normalize(self.w, axis=0))
        margin = ops.cos(ops.arccos(ops.clip(cosine, -1 + 1e-7, 1 - 1e-7)) + 0.5)
        return ops.softmax(30.0 * (cosine * (1 - y) + margin * y))


class Endpoint(keras.layers.Layer):
    """The endpoint of Keras' guide: a loss, a metric, and the softmax of one of its inputs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.accuracy = keras.metrics.BinaryAccuracy(name="accuracy")

    def call(self, targets: Any, logits: Any) -> Any:
        self.add_loss(self.loss(targets, logits))
        self.accuracy.update_state(targets, logits)
        return self.answer(logits)

    def answer(self, logits: Any) -> Any:
        return ops.softmax(logits)


class TensorFlowEndpoint(Endpoint):
    """The same in TensorFlow's own functions, which symbolic tensors cannot go through."""

    def answer(self, logits: Any) -> Any:
        return tf.nn.softmax(logits)


class KlAndReconstruction(keras.layers.Layer):
    """The loss of a variational autoencoder as a layer."""

    def call(self, x: Any, decoded: Any, mean: Any, log_variance: Any) -> Any:
        kl = -0.5 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        self.add_loss(ops.mean(ops.square(x - decoded)) + kl)
        return decoded


class Sampling(keras.layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        mean, log_variance = inputs
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class TripletLoss(keras.layers.Layer):
    def call(self, anchor: Any, positive: Any, negative: Any) -> Any:
        near, far = (ops.sum(ops.square(anchor - other), -1) for other in (positive, negative))
        return ops.mean(ops.maximum(near - far + 0.2, 0.0))


def features(image: Any) -> Any:
    x = L.ReLU()(L.BatchNormalization(name="bn")(L.Conv2D(6, (3, 2), name="conv")(image)))
    return L.GlobalAveragePooling2D()(x)


def reader(endpoint: Any) -> Any:
    """Text in an image, as columns of scores, with an endpoint that takes the labels."""
    image, label = keras.Input((20, 8, 1), name="image"), keras.Input((None,), name="label")
    x = L.ReLU()(L.BatchNormalization(name="bn")(L.Conv2D(6, 3, padding="same", name="conv")(image)))
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Reshape((10, 24))(L.MaxPooling2D((2, 2))(x)))
    return randomise(keras.Model([image, label], endpoint(label, L.Dense(7, activation="softmax", name="scores")(x))))


def face() -> Any:
    image, label = keras.Input(IMAGE, name="image"), keras.Input((6,), name="label")
    x = L.BatchNormalization(name="embedding")(L.Dense(5)(features(image)))
    return randomise(keras.Model([image, label], ArcFace(name="arcface")([x, label])))


def siamese() -> Any:
    image = keras.Input(IMAGE)
    tower = keras.Model(image, L.Dense(5, name="embedding")(features(image)), name="tower")
    inputs = [keras.Input(IMAGE, name=name) for name in ("anchor", "positive", "negative")]
    return randomise(keras.Model(inputs, TripletLoss(name="triplet")(*map(tower, inputs))))


def targets(endpoint: Any) -> Any:
    inputs, labels = keras.Input((7,), name="inputs"), keras.Input((4,), name="targets")
    logits = L.Dense(4)(L.BatchNormalization(name="bn")(L.Dense(6, name="hidden")(inputs)))
    return randomise(keras.Model([inputs, labels], endpoint(labels, logits)))


def autoencoder(sampled: bool) -> Any:
    image = keras.Input(IMAGE, name="image")
    x = features(image)
    mean, log_variance = L.Dense(2, name="mean")(x), L.Dense(2, name="log_variance")(x)
    code = Sampling(name="sampling")([mean, log_variance]) if sampled else mean
    decoded = L.Reshape(IMAGE)(L.Dense(360)(code))
    return randomise(keras.Model(image, KlAndReconstruction(name="loss")(image, decoded, mean, log_variance)))


def folded(model: Any, **choices: Any) -> FoldedModel:
    before = snapshot(model)
    result = fold_model(Loaded(model, Source("m", "")), ExportOptions(Path(), "m", **choices))
    assert snapshot(model) == before
    return result


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_an_endpoint_that_passes_its_predictions_on_leaves_no_trace() -> None:
    model = reader(CtcLayer(name="ctc"))
    result, image = folded(model), draw(4, 20, 8, 1)
    assert [spec.name for spec in result.signature.inputs] == ["image"]
    assert result.graph.notes == ("input 'label': no answer depends on it, and the bundle lacks it",)
    wanted = flat(keras.Model(model.inputs[0], model.get_layer("scores").output)(image))[0]
    np.testing.assert_allclose(result.model.run({"image": image})["ctc"], wanted, atol=1e-5)
    assert CtcLayer not in [node.op.kind for node in result.graph.nodes]


@pytest.mark.parametrize("endpoint", [Endpoint, TensorFlowEndpoint])
def test_labels_that_an_endpoint_does_not_read_for_its_answer_are_left_out(endpoint: type[Any]) -> None:
    model = targets(endpoint(name="predictions"))
    result, rows = folded(model), draw(5, 7)
    assert [spec.name for spec in result.signature.inputs] == ["inputs"]
    wanted = flat(model([rows, np.ones((5, 4), np.float32)]))[0]
    np.testing.assert_allclose(result.model.run({"inputs": rows})["predictions"], wanted, atol=1e-5)
    assert [entry.action for entry in result.plan] in (["forward"], ["backward"])


def test_the_loss_of_an_autoencoder_leaves_the_decoded_image() -> None:
    model, image = autoencoder(sampled=False), draw(3, *IMAGE)
    wanted = flat(model(image, training=False))[0]
    np.testing.assert_allclose(folded(model).model.run({"image": image})["loss"], wanted, atol=1e-5)


def test_a_model_of_a_loss_alone_is_refused_with_the_layer_to_export() -> None:
    with pytest.raises(Refused, match=r"'ctc' is a loss.* It needs 'label', .*--features scores"):
        folded(reader(CtcAlone(name="ctc")))
    with pytest.raises(Refused, match=r"'triplet' is of shape \(\).* as a loss is.*--features tower/embedding"):
        folded(siamese())


def test_an_operation_of_keras_that_is_a_loss_is_known() -> None:
    image, label = keras.Input((10, 4), name="image"), keras.Input((5,), dtype="int32", name="label")
    scores = L.Dense(7, activation="softmax", name="scores")(image)
    lengths = keras.Input((2,), dtype="int32", name="lengths")
    loss = ops.ctc_loss(label, scores, lengths[:, 0], lengths[:, 1])
    with pytest.raises(Refused, match=r"is a loss.* needs 'label', 'lengths'.*--features scores"):
        trace(keras.Model([image, label, lengths], loss))
    both = trace(keras.Model([image, label, lengths], {"loss": loss, "scores": scores}))
    assert both.output_names == ("scores",)
    assert both.notes == ("output 'loss': a loss is no part of inference, and the bundle lacks it",)


def test_the_layer_before_a_loss_is_exported_without_the_labels() -> None:
    model, image = reader(CtcAlone(name="ctc")), draw(4, 20, 8, 1)
    result = folded(model, features="scores")
    assert [spec.name for spec in result.signature.inputs] == ["image"]
    wanted = flat(keras.Model(model.inputs[0], model.get_layer("scores").output)(image))[0]
    np.testing.assert_allclose(result.model.run({"image": image})["scores"], wanted, atol=1e-5)


def test_of_a_siamese_network_the_first_call_of_the_tower_is_cut() -> None:
    model, image = siamese(), draw(4, *IMAGE)
    result = folded(model, features="embedding")
    assert [spec.name for spec in result.signature.inputs] == ["anchor"]
    wanted = flat(model.get_layer("tower")(image, training=False))[0]
    np.testing.assert_allclose(result.model.run({"anchor": image})["embedding"], wanted, atol=1e-5)


def test_a_margin_keeps_its_label_and_says_where_to_cut() -> None:
    model = face()
    result = folded(model)
    assert [spec.name for spec in result.signature.inputs] == ["image", "label"]
    assert list(label_notes(result.graph)) == [
        "every request must give input 'label', which arcface reads. If it is the label of training, callers do not "
        "have it: export --features embedding"
    ]
    assert [spec.name for spec in folded(model, features="embedding").signature.inputs] == ["image"]
    assert not list(label_notes(folded(siamese(), features="embedding").graph))


def test_random_numbers_are_refused_only_where_an_answer_depends_on_them() -> None:
    whole = folded(autoencoder(sampled=True))
    with pytest.raises(Refused, match=r"^sampling.*: it draws random numbers .*--features"):
        require_pure(serving_function(whole.model, whole.signature))
    model, image = autoencoder(sampled=True), draw(3, *IMAGE)
    wanted = flat(keras.Model(model.input, model.get_layer("mean").output)(image, training=False))[0]
    np.testing.assert_allclose(folded(model, features="mean").model.run({"image": image})["mean"], wanted, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_training_graph_is_exported_with_samples_that_still_hold_the_labels(tmp_path: Path) -> None:
    model, image = reader(CtcLayer(name="ctc")), draw(40, 20, 8, 1)
    samples = {"image": image, "label": np.ones((40, 5), np.float32)}
    exported = export_model(model, tmp_path, "reader", samples=samples, golden=4)
    assert "input 'label': no answer depends on it, and the bundle lacks it" in exported.report.warnings
    bundle = Bundle.open(exported.path)
    assert [spec.name for spec in bundle.manifest.signature.inputs] == ["image"]
    wanted = flat(keras.Model(model.inputs[0], model.get_layer("scores").output)(image))[0]
    answer = load_engine(bundle, EngineKind.ONNXRUNTIME).run({"image": image})["ctc"]
    np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5)
