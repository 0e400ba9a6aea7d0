"""Plain chains of layers."""

from typing import Any

import keras

from .architecture import AFFINE, BACK, FORWARD, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def lenet() -> Any:
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            L.Conv2D(5, 3),
            L.BatchNormalization(),
            L.Activation("tanh"),
            L.AveragePooling2D(2),
            L.Conv2D(6, (3, 2)),
            L.BatchNormalization(),
            L.Activation("tanh"),
            L.Flatten(),
            L.Dense(8, use_bias=False),
            L.BatchNormalization(),
            L.Activation("tanh"),
            L.Dense(4),
        ]
    )


def vgg_with_norm() -> Any:
    x = inputs = keras.Input(IMAGE)
    for filters in (4, 6):
        x = conv_norm(conv_norm(x, filters, use_bias=True), filters)
        x = L.MaxPooling2D(2)(x)
    x = L.Dropout(0.5)(L.Dense(8, activation="relu")(L.Flatten()(x)))
    return keras.Model(inputs, L.Dense(4, activation="softmax")(x))


def all_convolutional() -> Any:
    x = inputs = keras.Input(IMAGE)
    for filters, strides in ((4, 1), (5, 2), (6, (1, 2))):
        x = conv_norm(x, filters, (3, 2), strides=strides, activation="elu")
    return keras.Model(inputs, L.GlobalAveragePooling2D()(conv_norm(x, 4, 1, activation=None)))


def dilated_context() -> Any:
    x = inputs = keras.Input(IMAGE)
    for rate in (1, 2, (3, 1)):
        x = conv_norm(x, 4, 3, dilation_rate=rate)
    return keras.Model(inputs, L.Conv2D(2, 1)(x))


def perceptron() -> Any:
    x = inputs = keras.Input((7,))
    for units in (9, 5):
        x = L.ReLU()(L.BatchNormalization()(L.Dense(units)(x)))
        x = L.Dropout(0.4)(x)
    return keras.Model(inputs, L.Dense(3)(x))


def perceptron_normalized_behind_its_activations() -> Any:
    """The usual way round in notebooks: every normalization folds into the layer behind it."""
    x = inputs = keras.Input((7,))
    for units in (9, 5):
        x = L.BatchNormalization()(L.Dense(units, activation="relu")(x))
    return keras.Model(inputs, L.Dense(3)(L.Dropout(0.2)(x)))


def normalized_tabular_data() -> Any:
    x = inputs = keras.Input((7,))
    x = L.Dense(6, activation="selu")(L.BatchNormalization()(x))
    return keras.Model(inputs, L.Dense(1)(x))


def norm_variants() -> Any:
    x = inputs = keras.Input(IMAGE)
    for words in ({"center": False}, {"scale": False}, {"center": False, "scale": False}, {"epsilon": 0.1}):
        x = L.ReLU()(L.BatchNormalization(**words)(L.Conv2D(4, (2, 3))(x)))
    return keras.Model(inputs, head(x))


def norms_in_a_row() -> Any:
    x = inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3)(x)
    for _ in range(3):
        x = L.BatchNormalization()(x)
    return keras.Model(inputs, head(L.ReLU()(x)))


def einsum_perceptron() -> Any:
    inputs = keras.Input((5, 6))
    x = L.EinsumDense("abc,cd->abd", (5, 7), bias_axes="d")(inputs)
    x = L.Activation("gelu")(L.BatchNormalization()(x))
    x = L.BatchNormalization()(L.EinsumDense("abc,cde->abde", (5, 2, 3))(x))
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))


def normalized_answers() -> Any:
    """Two-headed: the scores are normalized too, and a second head reads what was not."""
    x = inputs = keras.Input(IMAGE)
    x = conv_norm(x, 4)
    features = L.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, [L.BatchNormalization(name="embedding")(features), L.Dense(3)(features)])


PLAIN = (
    Architecture(lenet, {BACK: 3}),
    Architecture(vgg_with_norm, {BACK: 4}),
    Architecture(all_convolutional, {BACK: 4}),
    Architecture(dilated_context, {BACK: 3}),
    Architecture(perceptron, {BACK: 2}),
    Architecture(perceptron_normalized_behind_its_activations, {FORWARD: 2}),
    Architecture(normalized_tabular_data, {FORWARD: 1}),
    Architecture(norm_variants, {BACK: 4}),
    Architecture(norms_in_a_row, {BACK: 3}),
    Architecture(einsum_perceptron, {BACK: 2}, forced="GELU; the bias of a product of rank 3"),
    Architecture(
        normalized_answers,
        {BACK: 1, AFFINE: 1},
        reasons=(
            "the output of features feeds several readers: dense, embedding",
            "its result is an output of the model",
        ),
    ),
)
