"""Films and volumes: three dimensions, and TimeDistributed."""

from typing import Any

import keras

from .architecture import BACK, FORWARD, Architecture
from .blocks import conv_norm

L = keras.layers
FILM = (4, 8, 6, 3)


def frames_then_recurrent() -> Any:
    frame = keras.Input(FILM[1:])
    x = L.GlobalAveragePooling2D()(conv_norm(conv_norm(frame, 4), 5))
    frames, inputs = keras.Model(frame, x, name="frames"), keras.Input(FILM)
    return keras.Model(inputs, L.Dense(2)(L.LSTM(4)(L.TimeDistributed(frames)(inputs))))


def frames_layer_by_layer() -> Any:
    return keras.Sequential(
        [
            keras.Input(FILM),
            L.TimeDistributed(L.Conv2D(4, (3, 2), use_bias=False)),
            L.TimeDistributed(L.BatchNormalization()),
            L.TimeDistributed(L.ReLU()),
            L.TimeDistributed(L.MaxPooling2D(2)),
            L.TimeDistributed(L.Flatten()),
            L.TimeDistributed(L.Dense(5)),
            L.TimeDistributed(L.BatchNormalization()),
            L.GlobalMaxPooling1D(),
        ]
    )


def open_number_of_frames() -> Any:
    inputs = keras.Input((None, *FILM[1:]))
    x = L.TimeDistributed(L.Dense(4, use_bias=False))(inputs)
    x = L.TimeDistributed(L.BatchNormalization())(x)
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling3D()(x)))


def volumes() -> Any:
    inputs = keras.Input((6, 8, 5, 2))
    x = L.Conv3D(4, (2, 3, 2), padding="same")(inputs)
    x = L.MaxPooling3D(2)(L.ReLU()(L.BatchNormalization()(x)))
    x = L.ReLU()(L.BatchNormalization()(L.Conv3D(5, 2, use_bias=False)(x)))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling3D()(x)))


def space_then_time() -> Any:
    """(2+1)-D: a convolution over the image, one over time."""
    x = inputs = keras.Input(FILM)
    for size in ((1, 3, 3), (3, 1, 1)):
        x = L.ReLU()(L.BatchNormalization()(L.Conv3D(4, size, padding="same", use_bias=False)(x)))
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling3D()(x)))


def volume_unet() -> Any:
    inputs = keras.Input((4, 6, 2, 2))
    fine = L.ReLU()(L.BatchNormalization()(L.Conv3D(3, 3, padding="same")(inputs)))
    deep = L.ReLU()(L.BatchNormalization()(L.Conv3D(4, 3, padding="same")(L.AveragePooling3D(2)(fine))))
    up = L.BatchNormalization()(L.Conv3DTranspose(3, 2, strides=2)(deep))
    return keras.Model(inputs, L.Conv3D(2, 1)(L.Concatenate()([fine, L.ReLU()(up)])))


def convolution_in_the_recurrence() -> Any:
    inputs = keras.Input(FILM)
    x = L.ConvLSTM2D(3, (3, 2))(inputs)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(L.BatchNormalization()(x))))


VIDEO = (
    Architecture(frames_then_recurrent, {BACK: 2}),
    Architecture(frames_layer_by_layer, {BACK: 2}),
    Architecture(open_number_of_frames, {BACK: 1}),
    Architecture(volumes, {BACK: 2}),
    Architecture(space_then_time, {BACK: 2}),
    Architecture(volume_unet, {BACK: 3}),
    Architecture(convolution_in_the_recurrence, {FORWARD: 1}, forced="ConvLSTM, which tf2onnx writes as a loop"),
)
