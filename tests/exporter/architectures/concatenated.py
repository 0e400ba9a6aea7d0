"""Tensors put side by side: dense blocks, inception, pyramids of context."""

from typing import Any

import keras

from .architecture import AFFINE, BACK, BACK_SHIFT, FORWARD, SHIFT, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def dense_block() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    for _ in range(3):
        y = L.Conv2D(3, 1, use_bias=False)(L.ReLU()(L.BatchNormalization()(x)))
        y = L.Conv2D(2, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(y)))
        x = L.Concatenate()([x, y])
    x = L.AveragePooling2D(2)(L.Conv2D(4, 1)(L.ReLU()(L.BatchNormalization()(x))))
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(x))))


def dense_block_normalized_afterwards() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 3)
    for _ in range(2):
        x = L.Concatenate()([x, conv_norm(x, 2)])
    return keras.Model(inputs, head(x))


def inception() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    pooled = conv_norm(L.AveragePooling2D(3, strides=1, padding="same")(x), 2, 1)
    x = L.Concatenate()(
        [conv_norm(x, 2, 1), conv_norm(conv_norm(x, 2, (1, 3)), 3, (3, 1)), conv_norm(conv_norm(x, 2, 1), 2, 5), pooled]
    )
    return keras.Model(inputs, head(x))


def inception_normalized_once() -> Any:
    """One normalization over all branches folds into each of them."""
    inputs = keras.Input(IMAGE)
    parts = [
        L.Conv2D(3, 1)(inputs),
        L.Conv2D(2, (3, 5), padding="same", use_bias=False)(inputs),
        L.SeparableConv2D(4, 3, padding="same")(inputs),
    ]
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(L.Concatenate()(parts)))))


def inception_of_poolings() -> Any:
    """A branch without weights: only the layers behind it can absorb its part of the normalization."""
    inputs = keras.Input(IMAGE)
    parts = [L.Conv2D(3, 3, strides=2, padding="same")(inputs), L.MaxPooling2D(3, strides=2, padding="same")(inputs)]
    x = L.BatchNormalization()(L.Concatenate()(parts))
    return keras.Model(inputs, head(L.ReLU()(x)))


def atrous_pyramid() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    whole = conv_norm(L.GlobalAveragePooling2D(keepdims=True)(x), 3, 1)
    whole = L.UpSampling2D((12, 10), interpolation="bilinear")(whole)
    parts = [conv_norm(x, 3, 3, dilation_rate=rate) for rate in (1, 2, 4)]
    x = conv_norm(L.Concatenate()([*parts, whole]), 4, 1)
    return keras.Model(inputs, L.Conv2D(2, 1)(x))


def pooled_pyramid() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = L.BatchNormalization()(x)
    parts = [L.Flatten()(L.AveragePooling2D(size)(x)) for size in ((12, 10), (6, 5), (3, 5))]
    return keras.Model(inputs, L.Dense(4)(L.Concatenate()(parts)))


def fractal() -> Any:
    inputs = keras.Input(IMAGE)
    short = conv_norm(inputs, 4, activation=None)
    long = conv_norm(conv_norm(inputs, 4), 4, activation=None)
    x = L.ReLU()(L.Average()([short, long]))
    return keras.Model(inputs, head(x))


def ghost_module() -> Any:
    """Cheap copies of a few channels, beside them."""
    inputs = keras.Input(IMAGE)
    primary = conv_norm(inputs, 3, 1)
    ghost = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(primary)))
    return keras.Model(inputs, head(L.Concatenate()([primary, ghost])))


CONCATENATED = (
    Architecture(
        dense_block,
        {BACK: 5, BACK_SHIFT: 1, SHIFT: 3},
        positive=True,
        reasons=("let all of them read what is normalized",),
    ),
    Architecture(dense_block_normalized_afterwards, {BACK: 3}),
    Architecture(inception, {BACK: 7}),
    Architecture(inception_normalized_once, {BACK: 1}),
    Architecture(
        inception_of_poolings, {AFFINE: 1}, reasons=("put it on the other side of max_pooling2d, or keep gamma",)
    ),
    Architecture(atrous_pyramid, {BACK: 6}),
    Architecture(pooled_pyramid, {FORWARD: 1}),
    Architecture(fractal, {BACK: 3}),
    Architecture(ghost_module, {BACK: 2}),
)
