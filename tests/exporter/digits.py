"""Small models that are really trained, on scikit-learn's digits: a diagnosis must leave healthy models alone."""

from functools import cache
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

Array = Any
layers = keras.layers


@cache
def digits() -> tuple[Array, Array]:
    """Images of shape (1797, 8, 8, 1) with values 0…1 in random order, and their classes."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return (data.images / 16)[order][..., np.newaxis].astype(np.float32), data.target[order]


def held_back(rows: int = 300) -> tuple[Array, Array]:
    """Samples that no model here was trained on."""
    images, labels = digits()
    return images[-rows:], labels[-rows:]


def backbone(momentum: float = 0.9, **baked: Any) -> Any:
    """Three convolutions with BatchNormalization, the last two around a shortcut."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(12, 3, padding="same", name="conv_1")(image)
    x = shortcut = layers.ReLU()(layers.BatchNormalization(momentum=momentum, name="bn_1")(x, **baked))
    x = layers.Conv2D(12, 3, padding="same", name="conv_2")(x)
    x = layers.Add()([layers.BatchNormalization(momentum=momentum, name="bn_2")(x), shortcut])
    x = layers.Conv2D(16, (2, 3), strides=2, name="conv_3", use_bias=False)(layers.ReLU()(x))
    x = layers.ReLU()(layers.BatchNormalization(momentum=momentum, name="bn_3")(x))
    return keras.Model(image, layers.GlobalAveragePooling2D()(x), name="backbone")


def with_head(body: Any, *before: Any) -> Any:
    head = layers.Dense(10, activation="softmax", name="probabilities")
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), *before, body, layers.Dropout(0.2), head])


def fit(model: Any, images: Array, labels: Array, epochs: int, rate: float = 5e-3) -> Any:
    loss = "sparse_categorical_crossentropy" if labels.dtype.kind in "iu" else "mse"
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


@cache
def trained_weights() -> tuple[Array, ...]:
    keras.utils.set_random_seed(5)
    images, labels = digits()
    return tuple(fit(with_head(backbone()), images[:1397], labels[:1397], 14).get_weights())


def healthy(**baked: Any) -> Any:
    """A well trained classifier, a fresh copy each time."""
    model = with_head(backbone(**baked))
    model.set_weights(trained_weights())
    return model


def accuracy(scores: Array, labels: Array) -> float:
    return float(np.mean(np.asarray(scores).argmax(axis=1) == labels))
