"""Down and up again: segmentation, detection, keypoints."""

from typing import Any

import keras

from .architecture import BACK, Architecture
from .blocks import IMAGE, conv_norm

L = keras.layers


def unet() -> Any:
    inputs = keras.Input(IMAGE)
    fine = conv_norm(conv_norm(inputs, 4), 4)
    deep = conv_norm(L.MaxPooling2D(2)(fine), 6)
    up = L.Conv2DTranspose(4, 2, strides=2)(deep)
    up = L.ReLU()(L.BatchNormalization()(up))
    x = conv_norm(L.Concatenate()([fine, up]), 4)
    return keras.Model(inputs, L.Conv2D(2, 1, activation="softmax")(x))


def unet_by_upsampling() -> Any:
    inputs = keras.Input(IMAGE)
    fine = conv_norm(inputs, 4, activation="leaky_relu")
    deep = conv_norm(L.AveragePooling2D(2)(fine), 5)
    up = L.UpSampling2D(2, interpolation="bilinear")(L.BatchNormalization()(L.Conv2D(4, 1)(deep)))
    return keras.Model(inputs, L.Conv2D(1, 1, activation="sigmoid")(conv_norm(L.Concatenate()([fine, up]), 4)))


def feature_pyramid() -> Any:
    """Two outputs of two sizes, by name."""
    inputs = keras.Input(IMAGE)
    fine = conv_norm(inputs, 4, strides=(2, 1))
    deep = conv_norm(fine, 6, strides=(2, 1))
    top = conv_norm(deep, 5, 1, activation=None)
    merged = L.Add()([L.UpSampling2D((2, 1))(top), conv_norm(fine, 5, 1, activation=None)])
    return keras.Model(inputs, {"fine": conv_norm(merged, 3), "deep": conv_norm(top, 3)})


def hourglass() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    y = conv_norm(L.MaxPooling2D(2)(x), 4)
    y = L.Add()([y, conv_norm(conv_norm(y, 4), 4, activation=None)])
    x = L.Add()([x, L.UpSampling2D(2)(y)])
    heat = L.Conv2D(2, 1, name="heat")(conv_norm(x, 4, 1))
    again = L.Add()([x, L.Conv2D(4, 1)(heat)])
    return keras.Model(inputs, [heat, L.Conv2D(2, 1, name="refined")(conv_norm(again, 4))])


def encoder_and_decoder() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.MaxPooling2D(2)(conv_norm(conv_norm(inputs, 4), 4))
    x = conv_norm(L.UpSampling2D(2)(x), 4)
    return keras.Model(inputs, L.Softmax()(L.BatchNormalization()(L.Conv2D(3, 1)(x))))


def cropped_unet() -> Any:
    """Without padding, so that what goes across is cropped."""
    inputs = keras.Input((16, 14, 3))
    fine = conv_norm(inputs, 4, padding="valid", activation=None)
    deep = conv_norm(L.AveragePooling2D(2)(L.ReLU()(fine)), 4, padding="valid")
    across = L.Cropping2D(((2, 2), (2, 2)))(fine)
    x = L.Concatenate()([across, L.UpSampling2D(2)(deep)])
    x = L.BatchNormalization()(L.Conv2D(3, 3)(x))
    return keras.Model(inputs, L.Conv2D(2, 1)(L.ReLU()(x)))


def detector() -> Any:
    """Boxes and classes from every place, in one row each."""
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4, strides=2, activation="leaky_relu")
    y = conv_norm(x, 5, strides=2, activation="leaky_relu")
    boxes = [L.Reshape((-1, 4))(L.Conv2D(8, 3, padding="same")(level)) for level in (x, y)]
    classes = [L.Reshape((-1, 3))(conv_norm(level, 6, activation="sigmoid")) for level in (x, y)]
    return keras.Model(inputs, {"boxes": L.Concatenate(axis=1)(boxes), "classes": L.Concatenate(axis=1)(classes)})


PYRAMIDS = (
    Architecture(unet, {BACK: 5}),
    Architecture(unet_by_upsampling, {BACK: 4}),
    Architecture(feature_pyramid, {BACK: 6}),
    Architecture(hourglass, {BACK: 6}),
    Architecture(encoder_and_decoder, {BACK: 4}),
    Architecture(cropped_unet, {BACK: 3}),
    Architecture(detector, {BACK: 4}),
)
