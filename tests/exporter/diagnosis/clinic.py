"""Models with a single fault each, planted into a healthy model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from foldserve_exporter.diagnosis.finding import FindingKind

from ..digits import backbone, digits, fit, healthy, held_back, trained_weights, with_head

layers = keras.layers


@dataclass(frozen=True)
class Patient:
    """A faulty model, samples and labels, and the finding that is expected."""

    model: Any
    samples: Any
    labels: Any
    kind: FindingKind
    layer: str | None


@keras.saving.register_keras_serializable("clinic")
class Hidden(keras.layers.Layer):
    """BatchNormalization whose learning phase is hard-coded."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization(momentum=0.9, name="hidden_bn")

    def build(self, shape: Any) -> None:
        self.norm.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.norm(inputs, training=True)


@keras.saving.register_keras_serializable("clinic")
class Centred(keras.layers.Layer):
    """A layer that subtracts the mean over the batch."""

    def call(self, inputs: Any) -> Any:
        return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)


@keras.saving.register_keras_serializable("clinic")
class Noisy(keras.layers.Layer):
    """A layer that draws random numbers in inference as well."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        return inputs + keras.random.normal(keras.ops.shape(inputs), stddev=0.5, seed=self.generator)


@keras.saving.register_keras_serializable("clinic")
class Dropping(keras.layers.Layer):
    """Dropout that is active in inference as well."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop = layers.Dropout(0.5, seed=4, name="drop")

    def call(self, inputs: Any) -> Any:
        return self.drop(inputs, training=True)


def bn(model: Any, name: str) -> Any:
    return model.get_layer("backbone").get_layer(name)


def stale(folder: Path) -> Patient:
    model = healthy()
    convolution = bn(model, "conv_2")
    kernel, bias = convolution.get_weights()
    convolution.set_weights([kernel * np.linspace(0.4, 4, 12, dtype=np.float32), bias + 1.5])
    return Patient(model, *held_back(), FindingKind.STALE, "backbone/bn_2")


def untouched(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_2")
    layer.moving_mean.assign(np.zeros(12))
    layer.moving_variance.assign(np.ones(12))
    return Patient(model, *held_back(), FindingKind.UNTOUCHED, "backbone/bn_2")


def lagging(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_3")
    left = 0.9**4
    layer.moving_mean.assign((1 - left) * np.array(layer.moving_mean))
    layer.moving_variance.assign((1 - left) * np.array(layer.moving_variance) + left)
    return Patient(model, *held_back(), FindingKind.LAGGING, "backbone/bn_3")


def baked(folder: Path) -> Patient:
    return Patient(healthy(training=True), *held_back(), FindingKind.BAKED_PHASE, "backbone/bn_1")


def live_augmentation(folder: Path) -> Patient:
    augment = layers.RandomTranslation(0.4, 0.4, seed=2, name="wobble")
    model = with_head(backbone(), augment)
    for layer, values in zip(model.layers[1:], _by_layer(), strict=True):
        layer.set_weights(values)
    return Patient(model, *held_back(), FindingKind.LIVE_RANDOMNESS, "wobble")


def permuted(folder: Path) -> Patient:
    """A legacy file saved by a trainable model, read into one whose backbone was frozen first."""
    _branched().save(folder / "legacy.h5")
    keras.utils.set_random_seed(1)
    frozen = with_head(_branches())
    frozen.get_layer("backbone").trainable = False
    frozen.load_weights(folder / "legacy.h5")
    return Patient(frozen, *held_back(), FindingKind.PERMUTED, "backbone")


def dead(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_1")
    layer.gamma.assign(np.where(np.arange(12) < 5, 0, np.array(layer.gamma)))
    return Patient(model, *held_back(), FindingKind.DEAD_GAIN, "backbone/bn_1")


def exploding(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_2")
    layer.gamma.assign(np.where(np.arange(12) == 3, 4e4, np.array(layer.gamma)))
    return Patient(model, *held_back(), FindingKind.EXPLODING_GAIN, "backbone/bn_2")


def tiny_variance(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_1")
    layer.moving_variance.assign(np.where(np.arange(12) % 4 == 0, 1e-12, np.array(layer.moving_variance)))
    return Patient(model, *held_back(), FindingKind.TINY_VARIANCE, "backbone/bn_1")


def stateful_subclass(folder: Path) -> Patient:
    image = keras.Input((8, 8, 1), name="image")
    x = Hidden(name="hidden")(layers.Conv2D(12, 3)(image))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(x))
    return Patient(fit(model, *_training(), 8), *held_back(), FindingKind.MOVING_STATISTICS, "hidden/hidden_bn")


def other_domain(folder: Path) -> Patient:
    images, labels = held_back()
    return Patient(healthy(), (1.3 - 0.6 * images).astype(np.float32), labels, FindingKind.OTHER_DATA, "backbone/bn_1")


def frozen_but_trained(folder: Path) -> Patient:
    """A head trained on batch statistics above a frozen backbone from elsewhere, as Keras 2.1.3 to 2.1.6 did it."""
    model = healthy()
    body, head = model.get_layer("backbone"), model.layers[-1]
    images, labels = _training()
    shifted = (1.3 - 0.6 * images).astype(np.float32)
    statistics = [np.array(v) for v in body.non_trainable_variables]
    features = np.asarray(body(shifted, training=True))
    for variable, value in zip(body.non_trainable_variables, statistics, strict=True):
        variable.assign(value)
    inputs = keras.Input(features.shape[1:])
    fit(keras.Model(inputs, head(inputs)), features, labels, 20)
    body.trainable = False
    held, wanted = held_back()
    samples = (1.3 - 0.6 * held).astype(np.float32)
    return Patient(model, samples, wanted, FindingKind.FROZEN_BUT_TRAINED, "backbone/bn_1")


def not_finite(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_3")
    layer.moving_variance.assign(np.where(np.arange(16) == 7, np.nan, np.array(layer.moving_variance)))
    return Patient(model, *held_back(), FindingKind.NON_FINITE, "backbone/bn_3")


def scaling_fault(folder: Path) -> Patient:
    """A constant on every channel before the head: the classes keep their order, one of them always wins."""
    model = healthy()
    layer = bn(model, "bn_3")
    kernel = np.array(model.layers[-1].kernel)
    push = 3 * np.maximum(kernel[:, 4] - kernel.mean(axis=1), 0)
    layer.moving_mean.assign(np.array(layer.moving_mean) - push * np.sqrt(np.array(layer.moving_variance)))
    return Patient(model, *held_back(), FindingKind.SCALING_FAULT, None)


def phases_apart(folder: Path) -> Patient:
    """A model fine-tuned on another domain in a few steps at a large momentum: good in fit, bad in predict."""
    model = with_head(backbone(momentum=0.99))
    model.set_weights(trained_weights())
    images, labels = _training()
    fit(model, (1.3 - 0.6 * images).astype(np.float32), labels, 3)
    held, wanted = held_back()
    return Patient(model, (1.3 - 0.6 * held).astype(np.float32), wanted, FindingKind.PHASE_GAP, None)


def neighbours(folder: Path) -> Patient:
    return Patient(_behind(Centred(name="centred")), *held_back(), FindingKind.NEIGHBOURS, "centred")


def random(folder: Path) -> Patient:
    return Patient(_behind(Noisy(name="noisy")), *held_back(), FindingKind.RANDOM, "noisy")


def dropout_in_inference(folder: Path) -> Patient:
    return Patient(_behind(Dropping(name="dropping")), *held_back(), FindingKind.RANDOM, "dropping/drop")


def kernel_not_finite(folder: Path) -> Patient:
    model = healthy()
    kernel, bias = bn(model, "conv_2").get_weights()
    bn(model, "conv_2").set_weights([np.where(np.arange(12) == 4, np.inf, kernel), bias])
    return Patient(model, *held_back(), FindingKind.NON_FINITE, "backbone/conv_2")


def bias_not_finite(folder: Path) -> Patient:
    model = healthy()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, np.where(np.arange(10) == 4, np.nan, bias)])
    return Patient(model, *held_back(), FindingKind.NON_FINITE, "probabilities")


def nothing_comes_through(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_3")
    layer.gamma.assign(np.zeros(16))
    return Patient(model, *held_back(), FindingKind.CONSTANT, "backbone/bn_3")


def below_the_relu(folder: Path) -> Patient:
    model = healthy()
    layer = bn(model, "bn_3")
    layer.beta.assign(np.full(16, -60))
    return Patient(model, *held_back(), FindingKind.CONSTANT, "backbone/bn_3")


CLINIC: tuple[Callable[[Path], Patient], ...] = (
    stale,
    untouched,
    lagging,
    baked,
    live_augmentation,
    permuted,
    dead,
    exploding,
    tiny_variance,
    stateful_subclass,
    other_domain,
    frozen_but_trained,
    not_finite,
    scaling_fault,
    phases_apart,
    neighbours,
    random,
    dropout_in_inference,
    kernel_not_finite,
    bias_not_finite,
    nothing_comes_through,
    below_the_relu,
)


def _training() -> tuple[Any, Any]:
    images, labels = digits()
    return images[:1397], labels[:1397]


def _by_layer() -> list[list[Any]]:
    return [layer.get_weights() for layer in healthy().layers]


def _behind(odd: Any) -> Any:
    model = with_head(backbone(), odd)
    weights = _by_layer()
    for layer, values in zip(model.layers[1:], weights, strict=True):
        layer.set_weights(values)
    return model


def _branches() -> Any:
    """Two branches with as many channels: every vector fits into the place of every other."""
    image = keras.Input((8, 8, 1), name="image")
    halves = [layers.Conv2D(12, 3, strides=s, padding="same", name=f"conv_{s}")(image) for s in (1, 2)]
    halves = [layers.BatchNormalization(momentum=0.9, name=f"bn_{i}")(x) for i, x in enumerate(halves)]
    pooled = [layers.GlobalMaxPooling2D()(layers.ReLU()(x)) for x in halves]
    return keras.Model(image, layers.Concatenate()(pooled), name="backbone")


def _branched() -> Any:
    keras.utils.set_random_seed(2)
    return fit(with_head(_branches()), *_training(), 20)
