"""Sequences: text, sound, sensors."""

from typing import Any

import keras

from .architecture import BACK, FORWARD, SHIFT, Architecture

L = keras.layers
SERIES = (14, 5)


def conv_norm_1d(x: Any, filters: int, kernel: int = 3, **words: Any) -> Any:
    return L.ReLU()(L.BatchNormalization()(L.Conv1D(filters, kernel, **{"padding": "same", **words})(x)))


def text_convolution() -> Any:
    inputs = keras.Input((12,), dtype="int32", name="tokens")
    x = L.SpatialDropout1D(0.2)(L.Embedding(20, 6)(inputs))
    parts = [L.GlobalMaxPooling1D()(conv_norm_1d(x, 4, width)) for width in (2, 3, 4)]
    return keras.Model(inputs, L.Dense(3)(L.Concatenate()(parts)))


def normalized_embedding() -> Any:
    inputs = keras.Input((12,), dtype="int32", name="tokens")
    x = L.BatchNormalization()(L.Embedding(20, 6)(inputs))
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(L.Activation("tanh")(x))))


def causal_convolutions() -> Any:
    x = inputs = keras.Input(SERIES)
    for rate in (1, 2, 4):
        y = conv_norm_1d(x, 6, 2, padding="causal", dilation_rate=rate)
        y = L.SpatialDropout1D(0.1)(y)
        x = L.ReLU()(L.Add()([L.Conv1D(6, 1)(x), y]))
    return keras.Model(inputs, L.Dense(2)(x[:, -1]))


def gated_causal_convolutions() -> Any:
    inputs = keras.Input(SERIES)
    x = L.Conv1D(6, 1)(inputs)
    skips = []
    for rate in (1, 2):
        words = {"padding": "causal", "dilation_rate": rate}
        left = L.Activation("tanh")(L.BatchNormalization()(L.Conv1D(6, 2, **words)(x)))
        right = L.Activation("sigmoid")(L.BatchNormalization()(L.Conv1D(6, 2, **words)(x)))
        gated = L.Multiply()([left, right])
        skips.append(L.Conv1D(4, 1)(gated))
        x = L.Add()([x, L.Conv1D(6, 1)(gated)])
    return keras.Model(inputs, L.Conv1D(2, 1)(L.ReLU()(L.Add()(skips))))


def normalized_before_causal() -> Any:
    inputs = keras.Input(SERIES)
    x = L.BatchNormalization()(L.Activation("tanh")(inputs))
    return keras.Model(inputs, L.ReLU()(L.Conv1D(4, 3, padding="causal")(x)))


def sound() -> Any:
    inputs = keras.Input((40, 1))
    x = L.MaxPooling1D(3)(conv_norm_1d(inputs, 4, 7, strides=2, padding="valid"))
    x = L.ReLU()(L.BatchNormalization()(L.SeparableConv1D(5, 3)(x)))
    x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv1D(2, padding="same")(x)))
    return keras.Model(inputs, L.Dense(3)(L.GlobalMaxPooling1D()(x)))


def series_autoencoder() -> Any:
    inputs = keras.Input((16, 3))
    x = conv_norm_1d(conv_norm_1d(inputs, 5, 3, strides=2), 4, 3, strides=2)
    for filters in (4, 5):
        x = L.ReLU()(L.BatchNormalization()(L.Conv1DTranspose(filters, 3, strides=2, padding="same")(x)))
    return keras.Model(inputs, L.Conv1D(3, 1)(x))


def recurrent_behind_convolution() -> Any:
    inputs = keras.Input(SERIES)
    x = L.MaxPooling1D(2)(conv_norm_1d(inputs, 6))
    return keras.Model(inputs, L.Dense(3)(L.BatchNormalization()(L.LSTM(4, dropout=0.2)(x))))


def normalized_before_lstm() -> Any:
    inputs = keras.Input(SERIES)
    x = L.LSTM(4, return_sequences=True)(L.BatchNormalization()(inputs))
    return keras.Model(inputs, L.LSTM(3, use_bias=False)(L.BatchNormalization()(x)))


def normalized_before_gru() -> Any:
    inputs = keras.Input(SERIES)
    x = L.GRU(4, return_sequences=True)(L.BatchNormalization()(inputs))
    x = L.GRU(3, reset_after=False, return_sequences=True)(L.BatchNormalization()(x))
    return keras.Model(inputs, L.SimpleRNN(3)(L.BatchNormalization()(x)))


def both_directions() -> Any:
    inputs = keras.Input(SERIES)
    x = L.BatchNormalization()(L.Activation("tanh")(inputs))
    x = L.Bidirectional(L.GRU(4, return_sequences=True))(x)
    x = L.Bidirectional(L.LSTM(3))(L.BatchNormalization()(x))
    return keras.Model(inputs, L.Dense(2)(L.BatchNormalization()(x)))


def masked_steps() -> Any:
    inputs = keras.Input(SERIES)
    x = L.TimeDistributed(L.Dense(6))(L.Masking()(inputs))
    x = L.TimeDistributed(L.BatchNormalization())(x)
    return keras.Model(inputs, L.Dense(2)(L.LSTM(3)(x)))


def squeezed_series() -> Any:
    inputs = keras.Input(SERIES)
    x = conv_norm_1d(inputs, 6)
    weight = L.Dense(6, activation="sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling1D()(x)))
    x = L.Multiply()([x, L.Reshape((1, 6))(weight)])
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


SERIES_MODELS = (
    Architecture(text_convolution, {BACK: 3}),
    Architecture(normalized_embedding, {BACK: 1}),
    Architecture(causal_convolutions, {BACK: 3}),
    Architecture(gated_causal_convolutions, {BACK: 4}),
    Architecture(normalized_before_causal, {SHIFT: 1}, reasons=("put it before activation, or put it behind conv1d",)),
    Architecture(sound, {BACK: 3}),
    Architecture(series_autoencoder, {BACK: 4}, forced="Conv1DTranspose, which tf2onnx pads before the bias"),
    Architecture(recurrent_behind_convolution, {BACK: 1, FORWARD: 1}),
    Architecture(normalized_before_lstm, {FORWARD: 2}),
    Architecture(normalized_before_gru, {FORWARD: 3}, forced="GRU, which tf2onnx writes as a loop"),
    Architecture(both_directions, {FORWARD: 3}, forced="GRU, which tf2onnx writes as a loop"),
    Architecture(masked_steps, {BACK: 1}, forced="a masked LSTM, which tf2onnx writes as a loop"),
    Architecture(squeezed_series, {BACK: 1}),
)
