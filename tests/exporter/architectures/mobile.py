"""Depthwise and separable convolutions, squeezes and gates: networks for small machines."""

from typing import Any

import keras

from .architecture import BACK, Architecture
from .blocks import IMAGE, conv_norm, depthwise_norm, head, squeeze_excite

L = keras.layers


def mobile_v1() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(L.ZeroPadding2D(((0, 1), (0, 1)))(inputs), 4, strides=2, padding="valid")
    for filters in (5, 6):
        x = conv_norm(depthwise_norm(x, activation="relu6"), filters, 1, activation="relu6")
    return keras.Model(inputs, head(x))


def inverted_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4, strides=2, activation="relu6")
    for _ in range(2):
        y = depthwise_norm(conv_norm(x, 8, 1, activation="relu6"), activation="relu6")
        x = L.Add()([x, conv_norm(y, 4, 1, activation=None)])
    return keras.Model(inputs, head(conv_norm(x, 7, 1, activation="relu6")))


def mobile_v3() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4, strides=2, activation="hard_silu")
    y = depthwise_norm(conv_norm(x, 8, 1, activation="hard_silu"), 5, activation="hard_silu")
    y = squeeze_excite(y, gate="hard_sigmoid")
    x = L.Add()([x, conv_norm(y, 4, 1, activation=None)])
    return keras.Model(inputs, head(x))


def spelled_out_hard_swish() -> Any:
    """The activation as keras.applications' MobileNetV3 writes it: of additions, ReLU6 and products."""
    inputs = keras.Input(IMAGE)

    def gate(x: Any) -> Any:
        return L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)

    x = conv_norm(inputs, 4, activation=None)
    x = L.Multiply()([x, gate(x)])
    weight = L.Conv2D(4, 1)(L.ReLU()(L.Conv2D(2, 1)(L.GlobalAveragePooling2D(keepdims=True)(x))))
    x = conv_norm(L.Multiply()([x, gate(weight)]), 5, 1, activation=None)
    return keras.Model(inputs, head(x))


def efficient_block() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Rescaling(1 / 255.0)(inputs)
    x = L.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.05, 0.06, 0.07])(x)
    x = conv_norm(L.ZeroPadding2D(((0, 1), (0, 1)))(x), 4, strides=2, padding="valid", activation="swish")
    y = depthwise_norm(conv_norm(x, 8, 1, activation="swish"), 5, activation="swish")
    y = conv_norm(squeeze_excite(y), 4, 1, activation=None)
    x = L.Add()([x, L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y)])
    return keras.Model(inputs, head(x))


def fused_efficient_block() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4, activation="swish")
    y = conv_norm(conv_norm(x, 8, 3, activation="swish"), 4, 1, activation=None)
    return keras.Model(inputs, head(L.Add()([x, y])))


def separable_stack() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    for filters in (5, 6):
        x = L.SeparableConv2D(filters, 3, padding="same", use_bias=False)(L.ReLU()(x))
        x = L.BatchNormalization()(x)
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    return keras.Model(inputs, head(x))


def channel_shuffle() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 6)
    y = conv_norm(x, 6, 1, groups=3)
    y = L.Reshape((12, 10, 6))(L.Permute((1, 2, 4, 3))(L.Reshape((12, 10, 3, 2))(y)))
    y = conv_norm(depthwise_norm(y, activation=None), 6, 1, activation=None, groups=3)
    return keras.Model(inputs, head(L.ReLU()(L.Add()([x, y]))))


def depth_multiplier() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.DepthwiseConv2D((3, 2), depth_multiplier=2, dilation_rate=2)(inputs)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.SeparableConv2D(4, 2, depth_multiplier=3)(x)
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(x))))


MOBILE = (
    Architecture(mobile_v1, {BACK: 5}),
    Architecture(inverted_residual, {BACK: 8}),
    Architecture(mobile_v3, {BACK: 4}),
    Architecture(spelled_out_hard_swish, {BACK: 2}, forced="hard-swish: what it adds 3 to is read again"),
    Architecture(efficient_block, {BACK: 4}, forced="the shift of preprocessing in front of zero padding"),
    Architecture(fused_efficient_block, {BACK: 3}),
    Architecture(separable_stack, {BACK: 3}),
    Architecture(channel_shuffle, {BACK: 4}),
    Architecture(depth_multiplier, {BACK: 2}),
)
