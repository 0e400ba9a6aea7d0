"""Kernels that a layer of the user's own computes from its weights: in inference they are constants, and fold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_contract.bundle import Bundle
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind
from foldserve_exporter import export_model
from foldserve_exporter.folding.fold_model import fold_graph
from foldserve_exporter.graph import rebuild, trace
from tests.exporter.models import assert_folds, flat, randomise, snapshot

L, ops = keras.layers, keras.ops


class Own(keras.layers.Layer):
    """A layer of somebody's own with so many units."""

    def __init__(self, units: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}


class Standardized(keras.layers.Conv2D):
    """Weight standardisation, as Keras' documentation of `convolution_op` has it."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        mean, variance = ops.moments(kernel, axes=[0, 1, 2], keepdims=True)
        return super().convolution_op(inputs, (kernel - mean) / ops.sqrt(variance + 1e-10))


class StandardizedByTensorFlow(keras.layers.Conv2D):
    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        mean, variance = tf.nn.moments(kernel, axes=[0, 1, 2], keepdims=True)
        standardized = (kernel - mean) / tf.sqrt(variance + 1e-10)
        return tf.nn.conv2d(inputs, standardized, list(self.strides), self.padding.upper())


class ScaledStandardized(Own):
    """The convolution of normaliser-free networks: standardised, with a gain for each channel."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(3, 2, shape[-1], self.units))
        self.gain = self.add_weight(name="gain", shape=(self.units,))
        self.bias = self.add_weight(name="bias", shape=(self.units,))

    def call(self, x: Any) -> Any:
        mean, variance = tf.nn.moments(self.kernel, [0, 1, 2], keepdims=True)
        fan_in = np.prod(self.kernel.shape[:-1])
        scale = tf.math.rsqrt(tf.maximum(variance * fan_in, 1e-4)) * self.gain
        return tf.nn.bias_add(tf.nn.conv2d(x, self.kernel * scale - mean * scale, 1, "VALID"), self.bias)


class Equalized(Own):
    """The convolution of StyleGAN in Keras' examples: padded by reflection, the kernel scaled by its fan-in."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(3, 3, shape[-1], self.units))
        self.b = self.add_weight(name="b", shape=(self.units,))
        self.scale = ops.sqrt(2 / (9 * shape[-1]))

    def call(self, x: Any) -> Any:
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        return ops.conv(x, self.scale * self.w, strides=1, padding="valid") + self.b


class EqualizedDense(Own):
    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units))
        self.b = self.add_weight(name="b", shape=(self.units,))

    def call(self, x: Any) -> Any:
        return (tf.matmul(x, self.w * 0.3) + self.b) * 0.5


class GatedKernel(Own):
    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(3, 3, shape[-1], self.units))
        self.gate = self.add_weight(name="gate", shape=(3, 3, shape[-1], 1))

    def call(self, x: Any) -> Any:
        return ops.conv(x, self.kernel * ops.sigmoid(self.gate), strides=2, padding="same")


class Centred(keras.layers.DepthwiseConv2D):
    def call(self, x: Any) -> Any:
        kernel = self.kernel - tf.reduce_mean(self.kernel, [0, 1], keepdims=True)
        return tf.nn.bias_add(tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "SAME"), self.bias)


class Series(Own):
    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(3, shape[-1], self.units))

    def call(self, x: Any) -> Any:
        mean, variance = tf.nn.moments(self.kernel, [0, 1], keepdims=True)
        return tf.nn.conv1d(x, (self.kernel - mean) / tf.sqrt(variance + 1e-5), stride=2, padding="SAME")


class Gated(Own):
    """f(x)·σ(g(x)): the scale goes into f, and the shift has no place."""

    def build(self, shape: Any) -> None:
        self.feature, self.gate = L.Conv2D(self.units, 3), L.Conv2D(self.units, 3, activation="sigmoid")
        self.feature.build(shape)
        self.gate.build(shape)

    def call(self, x: Any) -> Any:
        return self.feature(x) * self.gate(x)


class Dynamic(Own):
    """A kernel that depends on the input."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units))

    def call(self, x: Any) -> Any:
        return tf.matmul(x, self.w * tf.reduce_mean(tf.square(x)))


class Counting(Own):
    """A kernel that changes with each call, as that of a spectral normalisation of somebody's own may."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units))
        self.u = self.add_weight(name="u", shape=(), trainable=False)

    def call(self, x: Any) -> Any:
        self.u.assign_add(1.0)
        return ops.matmul(x, self.w / (1 + self.u * self.u))


def network(layer: Any, shape: tuple[int | None, ...]) -> Any:
    image = keras.Input(shape, name="x")
    return randomise(keras.Model(image, L.ReLU()(L.BatchNormalization(name="bn")(layer(image)))))


IMAGE = (9, 8, 3)
FOLDED: dict[str, tuple[Callable[[], Any], tuple[int | None, ...], str]] = {
    "standardized": (lambda: Standardized(5, (3, 2), strides=2, padding="same", name="own"), IMAGE, "Conv2D"),
    "tensorflow": (lambda: StandardizedByTensorFlow(5, 3, padding="same", name="own"), IMAGE, "Conv2D"),
    "scaled": (lambda: ScaledStandardized(name="own"), IMAGE, "Conv2D"),
    "equalized": (lambda: Equalized(name="own"), IMAGE, "Conv2D"),
    "open": (lambda: Equalized(name="own"), (None, None, 3), "Conv2D"),
    "dense": (lambda: EqualizedDense(name="own"), (7,), "Dense"),
    "gated_kernel": (lambda: GatedKernel(name="own"), IMAGE, "Conv2D"),
    "depthwise": (lambda: Centred((3, 2), padding="same", name="own"), IMAGE, "DepthwiseConv2D"),
    "series": (lambda: Series(name="own"), (11, 3), "Conv1D"),
}


@pytest.mark.parametrize("name", FOLDED)
def test_a_kernel_made_of_weights_absorbs_the_normalization(name: str) -> None:
    make, shape, kind = FOLDED[name]
    model = network(make(), shape)
    folded = assert_folds(model)
    (entry,) = folded.plan
    assert (entry.action, entry.host) == ("backward", "own")
    layers = [type(layer).__name__ for layer in folded.model.layers if layer.weights]
    assert layers == [kind]


def test_the_kernel_is_computed_in_float64_and_rounded_once() -> None:
    model = network(Standardized(5, 3, name="own"), IMAGE)
    model.get_layer("bn").gamma.assign([-0.7, 0.4, 1.3, -0.2, 0.9])
    graph, _ = fold_graph(trace(model))
    kernel, *_ = (node.op.weight("kernel") for node in graph.nodes if node.op.weights)
    assert kernel is not None
    own, norm = model.get_layer("own"), model.get_layer("bn")
    raw = own.kernel.numpy().astype(np.float64)
    standard = (raw - raw.mean((0, 1, 2))) / np.sqrt(raw.var((0, 1, 2)) + 1e-10)
    gamma, variance = norm.gamma.numpy().astype(np.float64), norm.moving_variance.numpy().astype(np.float64)
    np.testing.assert_allclose(kernel, standard * gamma / np.sqrt(variance + norm.epsilon), rtol=1e-12)


def test_a_gated_convolution_takes_the_scale() -> None:
    folded = assert_folds(network(Gated(name="own"), IMAGE))
    assert [entry.action for entry in folded.plan] == ["backward_scale_left_affine_shift"]


def test_a_shared_layer_absorbs_the_normalization_behind_each_of_its_calls() -> None:
    one, two = keras.Input(IMAGE), keras.Input(IMAGE)
    own, first, second = Standardized(4, 3, name="own"), L.BatchNormalization(), L.BatchNormalization()
    folded = assert_folds(randomise(keras.Model([one, two], [first(own(one)), second(own(two))])))
    assert [entry.action for entry in folded.plan] == ["backward", "backward"]


def test_without_a_normalization_an_own_layer_stays_as_it_is() -> None:
    image = keras.Input(IMAGE)
    graph, _ = fold_graph(trace(randomise(keras.Model(image, Standardized(4, 3)(image)))))
    assert [node.op.kind for node in graph.nodes] == [Standardized]


@pytest.mark.parametrize("kind", [Dynamic, Counting])
def test_a_kernel_that_is_no_constant_is_left_alone_and_said_to_be_more(kind: type[Any]) -> None:
    model = network(kind(name="own"), (7,))
    before = snapshot(model)
    graph, (entry,) = fold_graph(trace(model))
    assert snapshot(model) == before
    assert entry.action == "left_affine"
    assert f"own is a {kind.__name__}, a class of your own that computes more than a convolution" in entry.reason
    assert kind in [node.op.kind for node in graph.nodes]


def test_a_kernel_that_depends_on_the_input_still_answers_as_the_model() -> None:
    model = network(Dynamic(name="own"), (7,))
    x = np.random.default_rng(3).normal(size=(4, 7)).astype(np.float32)
    graph, _ = fold_graph(trace(model))
    np.testing.assert_allclose(flat(rebuild(graph)(x))[0], flat(model(x))[0], rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_standardized_kernels_are_exported_verified_and_served(tmp_path: Path) -> None:
    image = keras.Input(IMAGE, name="x")
    x = L.ReLU()(L.BatchNormalization(name="one")(Standardized(6, 3, name="first")(image)))
    x = L.ReLU()(L.BatchNormalization(name="two")(ScaledStandardized(4, name="second")(x)))
    model = randomise(keras.Model(image, L.Dense(3, name="scores")(L.GlobalAveragePooling2D()(x))))
    rows = np.random.default_rng(2).normal(size=(40, *IMAGE)).astype(np.float32)
    exported = export_model(model, tmp_path, "standardized", samples=rows, golden=4, keep_keras=True)
    assert [(e.bn, e.action) for e in exported.report.fold] == [("one", "backward"), ("two", "backward")]
    bundle = Bundle.open(exported.path)
    for kind in (EngineKind.ONNXRUNTIME, EngineKind.TENSORFLOW):
        (answer,) = load_engine(bundle, kind).run({"x": rows}).values()
        np.testing.assert_allclose(answer, flat(model(rows))[0], rtol=0, atol=1e-5)
