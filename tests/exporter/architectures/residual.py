"""Sums of what went through and what went around."""

from typing import Any

import keras

from .architecture import BACK, BACK_SCALE, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def basic_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    for strides in (1, 2):
        y = conv_norm(conv_norm(x, 6, strides=strides), 6, activation=None)
        x = L.ReLU()(L.Add()([y, conv_norm(x, 6, 1, activation=None, strides=strides)]))
    return keras.Model(inputs, head(x))


def bottleneck_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 6)
    for _ in range(2):
        y = conv_norm(conv_norm(conv_norm(x, 3, 1), 3, 3), 6, 1, activation=None)
        x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(inputs, head(x))


def preactivated_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(5, 3, padding="same")(inputs)
    for _ in range(2):
        y = x
        for _ in range(2):
            y = L.Conv2D(5, 3, padding="same")(L.ReLU()(L.BatchNormalization()(y)))
        x = L.Add()([x, y])
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(x))))


def preactivated_residual_with_gains_of_both_signs() -> Any:
    return preactivated_residual()


def wide_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(8, 3, padding="same")(inputs)
    y = L.ReLU()(L.BatchNormalization()(x))
    shortcut = L.Conv2D(10, 1, strides=2)(y)
    y = L.Conv2D(10, 3, padding="same", strides=2)(y)
    y = L.Dropout(0.3)(L.ReLU()(L.BatchNormalization()(y)))
    x = L.Add()([shortcut, L.Conv2D(10, 3, padding="same")(y)])
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(x))))


def grouped_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 6)
    y = conv_norm(conv_norm(conv_norm(x, 6, 1), 6, 3, groups=3), 6, 1, activation=None)
    return keras.Model(inputs, head(L.ReLU()(L.Add()([x, y]))))


def scaled_residual() -> Any:
    """As Inception-ResNet has it: the branch counts for a fraction."""
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    for scale in (0.17, 0.1):
        y = L.Concatenate()([conv_norm(x, 3, 1), conv_norm(x, 2, 3)])
        x = L.ReLU()(L.Add()([x, L.Rescaling(scale)(L.Conv2D(4, 1)(y))]))
    return keras.Model(inputs, head(x))


def averaged_branches() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Average()([L.Conv2D(4, 3)(inputs), L.Conv2D(4, (3, 3), use_bias=False)(inputs)])
    x = L.ReLU()(L.BatchNormalization()(x))
    return keras.Model(inputs, head(x))


def branches_that_differ_by_sign() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Subtract()([L.Conv2D(4, 3)(inputs), L.DepthwiseConv2D(3)(L.Conv2D(4, 1)(inputs))])
    return keras.Model(inputs, head(L.Activation("tanh")(L.BatchNormalization()(x))))


RESIDUAL = (
    Architecture(basic_residual, {BACK: 7}),
    Architecture(bottleneck_residual, {BACK: 7}),
    Architecture(preactivated_residual, {BACK: 5}, positive=True),
    Architecture(
        preactivated_residual_with_gains_of_both_signs,
        {BACK: 3, BACK_SCALE: 2},
        reasons=("only its shift is folded", "must come before the activation"),
    ),
    Architecture(wide_residual, {BACK: 3}),
    Architecture(grouped_residual, {BACK: 4}),
    Architecture(scaled_residual, {BACK: 5}),
    Architecture(averaged_branches, {BACK: 1}),
    Architecture(branches_that_differ_by_sign, {BACK: 1}),
)
