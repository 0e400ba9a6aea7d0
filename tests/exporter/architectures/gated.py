"""Products and attention: tensors that weigh other tensors."""

from typing import Any

import keras

from .architecture import BACK, FORWARD, Architecture
from .blocks import IMAGE, conv_norm, head, squeeze_excite

L = keras.layers


def squeezed_residual() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    y = squeeze_excite(conv_norm(conv_norm(x, 4), 4, activation=None))
    return keras.Model(inputs, head(L.ReLU()(L.Add()([x, y]))))


def channel_and_spatial_attention() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 6)
    shared = [L.Dense(2, activation="relu"), L.Dense(6)]
    parts = [L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x)]
    weight = L.Add()([shared[1](shared[0](part)) for part in parts])
    x = L.Multiply()([x, L.Reshape((1, 1, 6))(L.Activation("sigmoid")(weight))])
    maps = [keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)]
    place = L.Conv2D(1, 5, padding="same", use_bias=False)(L.Concatenate()(maps))
    place = L.Activation("sigmoid")(L.BatchNormalization()(place))
    return keras.Model(inputs, head(L.Multiply()([x, place])))


def gated_convolution() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization()(L.Conv2D(4, 3)(inputs))
    gate = L.Activation("sigmoid")(L.BatchNormalization()(L.Conv2D(4, 3)(inputs)))
    x = L.BatchNormalization()(L.Multiply()([x, gate]))
    return keras.Model(inputs, head(L.Conv2D(5, 2)(x)))


def attention_gate() -> Any:
    """As attention U-Nets have it: what lies ahead says where to look."""
    inputs = keras.Input(IMAGE)
    skip = conv_norm(inputs, 4)
    deep = conv_norm(L.MaxPooling2D(2)(skip), 6)
    query = L.UpSampling2D(2)(conv_norm(deep, 3, 1, activation=None))
    joint = L.ReLU()(L.Add()([conv_norm(skip, 3, 1, activation=None), query]))
    place = conv_norm(joint, 1, 1, activation="sigmoid")
    x = L.Concatenate()([L.Multiply()([skip, place]), L.UpSampling2D(2)(deep)])
    return keras.Model(inputs, L.Conv2D(2, 1)(x))


def highway() -> Any:
    x = inputs = keras.Input((6,))
    for _ in range(2):
        gate = L.Activation("sigmoid")(L.BatchNormalization()(L.Dense(6)(x)))
        y = L.ReLU()(L.BatchNormalization()(L.Dense(6)(x)))
        x = L.Add()([L.Multiply()([gate, y]), L.Multiply()([1.0 - gate, x])])
    return keras.Model(inputs, L.Dense(2)(x))


def transformer_with_batch_norm() -> Any:
    """Normalized behind each sum, as time series transformers have it."""
    inputs = keras.Input((6, 5))
    x = L.BatchNormalization()(L.Dense(8)(inputs))
    for _ in range(2):
        y = L.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
        x = L.BatchNormalization()(L.Add()([x, y]))
        y = L.Dense(8)(L.Dense(12, activation="gelu")(x))
        x = L.BatchNormalization()(L.Add()([x, y]))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def patches_and_attention() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Reshape((-1, 6))(conv_norm(inputs, 6, 2, strides=2, padding="valid", activation="gelu"))
    y = L.MultiHeadAttention(2, 3)(L.LayerNormalization()(x), L.LayerNormalization()(x))
    x = L.Add()([x, y])
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def layer_norm_beside_batch_norm() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization()(L.LayerNormalization()(L.Conv2D(6, 3)(inputs)))
    x = L.BatchNormalization()(L.GroupNormalization(2)(L.Conv2D(4, 3)(L.ReLU()(x))))
    return keras.Model(inputs, head(L.ReLU()(x)))


def metric_attention() -> Any:
    """Scores of a query against keys: products of two tensors that were both normalized."""
    query, keys = keras.Input((5,), name="query"), keras.Input((7, 5), name="keys")
    q = L.BatchNormalization()(L.Dense(4)(query))
    k = L.BatchNormalization()(L.Dense(4)(keys))
    scores = L.Softmax()(L.Dot((2, 1))([k, q]))
    return keras.Model([query, keys], L.Dense(2)(L.Dot((1, 1))([k, scores])))


GATED = (
    Architecture(squeezed_residual, {BACK: 3}),
    Architecture(channel_and_spatial_attention, {BACK: 2}),
    Architecture(gated_convolution, {BACK: 2, FORWARD: 1}),
    Architecture(attention_gate, {BACK: 5}),
    Architecture(highway, {BACK: 4}, forced="1 − gate"),
    Architecture(transformer_with_batch_norm, {BACK: 1, FORWARD: 4}, forced="attention and GELU"),
    Architecture(patches_and_attention, {BACK: 1}, forced="attention, GELU and LayerNormalization"),
    Architecture(layer_norm_beside_batch_norm, {BACK: 2}, forced="LayerNormalization and GroupNormalization"),
    Architecture(metric_attention, {BACK: 2}),
)
