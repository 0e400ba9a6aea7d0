"""What the experiments share: data, backbones, scores and tables.

By default everything is small and made here: scikit-learn's digits as the domain that backbones are trained on, and the
same digits inverted and with less contrast as the domain they are transferred to. With `--weights imagenet` the
backbones are those of `keras.applications` and the target is CIFAR-10; both are downloaded by Keras.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Array = NDArray[Any]
layers = keras.layers
_TRAINED: dict[str, list[Array]] = {}


@dataclass(frozen=True)
class Task:
    """Images and classes to transfer to, and backbones that were trained on others."""

    train_x: Array
    train_y: Array
    held_x: Array
    held_y: Array
    imagenet: bool

    def backbone(self, name: str) -> Any:
        """`resnet` (BatchNormalization everywhere) or `vgg` (none), pretrained, ending in a vector."""
        if self.imagenet:
            kinds = {"resnet": keras.applications.ResNet50, "vgg": keras.applications.VGG19}
            return kinds[name](include_top=False, pooling="avg", input_shape=self.train_x.shape[1:])
        return {"resnet": small_resnet, "vgg": small_vgg}[name](self.train_x.shape[1:])


def task(description: str) -> Task:
    """The task that the command line asks for; everything random is seeded."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--weights", choices=("digits", "imagenet"), default="digits", help="what backbones know")
    imagenet = parser.parse_args().weights == "imagenet"
    keras.utils.set_random_seed(7)
    return cifar() if imagenet else shifted_digits()


def digits() -> tuple[Array, Array]:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = (data.images / 16).repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis].astype(np.float32)
    return images[order], data.target[order]


def shifted_digits() -> Task:
    images, labels = digits()
    shifted = (1.3 - 0.6 * images).astype(np.float32)
    return Task(shifted[:600], labels[:600], shifted[1200:], labels[1200:], imagenet=False)


def cifar() -> Task:
    (train_x, train_y), (held_x, held_y) = keras.datasets.cifar10.load_data()
    prepared = [keras.applications.resnet50.preprocess_input(x[:2000].astype(np.float32)) for x in (train_x, held_x)]
    return Task(prepared[0], train_y[:2000, 0], prepared[1], held_y[:2000, 0], imagenet=True)


def small_resnet(shape: tuple[int, ...]) -> Any:
    def block(x: Any, filters: int, strides: int) -> Any:
        shortcut = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides)(x))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=strides, padding="same")(x)))
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x))
        return layers.ReLU()(layers.Add()([x, shortcut]))

    image = keras.Input(shape)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(image)))
    x = block(block(block(x, 16, 1), 32, 2), 64, 2)
    return pretrained(keras.Model(image, layers.GlobalAveragePooling2D()(x), name="resnet"), epochs=20)


def small_vgg(shape: tuple[int, ...]) -> Any:
    x = image = keras.Input(shape)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
    return pretrained(keras.Model(image, layers.Flatten()(x), name="vgg"), epochs=12)


def pretrained(body: Any, epochs: int) -> Any:
    """Trained on the digits as they are, once in each run."""
    if body.name not in _TRAINED:
        images, labels = digits()
        fit(with_head(body), images[:1200], labels[:1200], 1e-3, epochs)
        _TRAINED[body.name] = body.get_weights()
    body.set_weights(_TRAINED[body.name])
    return body


def with_head(body: Any) -> Any:
    return keras.Sequential([keras.Input(body.input_shape[1:]), body, layers.Dense(10, activation="softmax")])


def head_for(features: Array) -> Any:
    return keras.Sequential([keras.Input(features.shape[1:]), layers.Dense(10, activation="softmax")])


def fit(model: Any, x: Array, y: Array, rate: float, epochs: int) -> float:
    """Trains; gives the accuracy that `fit` showed last, in batches under dropout and batch statistics as they were."""
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history
    return float(history["accuracy"][-1])


def phase_0(model: Any, x: Array, y: Array) -> float:
    """Accuracy of `predict`: moving statistics."""
    return accuracy(model.predict(x, verbose=0), y)


def phase_1(model: Any, x: Array, y: Array) -> float:
    """Accuracy on the statistics of the batch; the model's own are put back."""
    before = [np.array(variable) for variable in model.variables]
    outputs = [np.asarray(model(part, training=True)) for part in np.array_split(x, -(-len(x) // 256))]
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return accuracy(np.concatenate(outputs), y)


def accuracy(scores: Array, labels: Array) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str | float]]) -> None:
    """A Markdown table; numbers are shares."""
    for row in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(f"{cell:.1%}" if isinstance(cell, float) else cell for cell in row) + " |")
