"""Pieces that several architectures are built of."""

from typing import Any

import keras

L = keras.layers
IMAGE = (12, 10, 3)


def conv_norm(x: Any, filters: int, kernel: Any = 3, activation: Any = "relu", **words: Any) -> Any:
    """Convolution, BatchNormalization and, where one is named, an activation."""
    x = L.Conv2D(filters, kernel, **{"padding": "same", "use_bias": False, **words})(x)
    x = L.BatchNormalization()(x)
    return x if activation is None else L.Activation(activation)(x)


def depthwise_norm(x: Any, kernel: Any = 3, activation: Any = "relu", **words: Any) -> Any:
    """Depthwise convolution, BatchNormalization and an activation."""
    x = L.DepthwiseConv2D(kernel, **{"padding": "same", "use_bias": False, **words})(x)
    x = L.BatchNormalization()(x)
    return x if activation is None else L.Activation(activation)(x)


def head(x: Any, classes: int = 4) -> Any:
    """Average over the image, then scores."""
    return L.Dense(classes, name="scores")(L.GlobalAveragePooling2D()(x))


def squeeze_excite(x: Any, reduced: int = 3, gate: Any = "sigmoid") -> Any:
    """Channels weighed by what the whole image says of them."""
    channels = x.shape[-1]
    weight = L.GlobalAveragePooling2D(keepdims=True)(x)
    weight = L.Conv2D(reduced, 1, activation="relu")(weight)
    return L.Multiply()([x, L.Conv2D(channels, 1, activation=gate)(weight)])
