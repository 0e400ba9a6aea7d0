"""Inputs, outputs, paddings and poolings: where a map can move, and where it has to stay."""

from typing import Any

import keras

from .architecture import AFFINE, BACK, BACK_SHIFT, FORWARD, MERGED, SCALE, SHIFT, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def normalized_images() -> Any:
    """BatchNormalization on the input, in place of preprocessing."""
    inputs = keras.Input(IMAGE)
    return keras.Model(inputs, head(conv_norm(L.BatchNormalization()(inputs), 4, padding="valid")))


def normalized_images_padded() -> Any:
    inputs = keras.Input(IMAGE)
    return keras.Model(inputs, head(conv_norm(L.BatchNormalization()(inputs), 4)))


def bytes_in() -> Any:
    inputs = keras.Input(IMAGE, dtype="uint8")
    x = L.RandomFlip()(L.Rescaling(1 / 127.5, offset=-1)(inputs))
    x = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(x)
    return keras.Model(inputs, head(conv_norm(x, 4)))


def preprocessing_inside() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Normalization(mean=[120.0, 110, 100], variance=[3000.0, 3100, 3200])(L.RandomRotation(0.1)(inputs))
    return keras.Model(inputs, head(conv_norm(L.RandomZoom(0.1)(x), 4, padding="valid")))


def normalized_behind_activations() -> Any:
    """As many notebooks have it: convolution with ReLU, then BatchNormalization, then pooling."""
    x = inputs = keras.Input(IMAGE)
    for filters in (4, 5):
        x = L.BatchNormalization()(L.Conv2D(filters, 3, activation="relu", padding="same")(x))
        x = L.MaxPooling2D(2)(x)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def normalized_behind_activations_with_gains_of_both_signs() -> Any:
    return normalized_behind_activations()


def normalized_behind_activations_unpadded() -> Any:
    x = inputs = keras.Input(IMAGE)
    for filters in (4, 5):
        x = L.BatchNormalization()(L.Conv2D(filters, 3, activation="relu")(x))
        x = L.AveragePooling2D(2)(x)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def padded_explicitly() -> Any:
    x = inputs = keras.Input(IMAGE)
    x = conv_norm(L.ZeroPadding2D(2)(x), 4, 5, strides=2, padding="valid")
    x = L.BatchNormalization()(L.ZeroPadding2D(1)(L.Conv2D(4, 3)(x)))
    return keras.Model(inputs, head(L.ReLU()(x)))


def through_many_layers() -> Any:
    """Pooled, cropped, upsampled, transposed and reshaped between the host and its normalization."""
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, (3, 2))(inputs)
    for layer in (L.AveragePooling2D(2), L.Cropping2D(((1, 0), (0, 1))), L.UpSampling2D(2), L.Permute((2, 1, 3))):
        x = layer(x)
    x = L.BatchNormalization()(L.Reshape((-1, 4))(x))
    return keras.Model(inputs, L.Dense(2)(L.GlobalMaxPooling1D()(x)))


def flattened_then_normalized() -> Any:
    """A normalization of every place by itself: it goes into the Dense behind it."""
    inputs = keras.Input(IMAGE)
    x = L.Flatten()(L.Conv2D(3, 3, activation="relu")(inputs))
    return keras.Model(inputs, L.Dense(2)(L.Dropout(0.5)(L.BatchNormalization()(x))))


def along_another_axis() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization(axis=1, name="rows")(L.Conv2D(4, 3, padding="same")(inputs))
    return keras.Model(inputs, head(L.ReLU()(x)))


def activations_with_weights() -> Any:
    x = inputs = keras.Input(IMAGE)
    x = L.PReLU(shared_axes=[1, 2])(L.BatchNormalization()(L.Conv2D(4, 3)(x)))
    x = L.BatchNormalization()(L.LeakyReLU(0.1)(L.Conv2D(5, 3)(x)))
    return keras.Model(inputs, head(L.Conv2D(4, 2)(x)))


def two_activations_around() -> Any:
    """Between two activations that nothing folds through: one affine is what is left."""
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization(name="caught")(L.Conv2D(4, 3, activation="tanh", name="stem")(inputs))
    return keras.Model(inputs, head(L.Activation("sigmoid")(x)))


def norms_on_both_sides_of_pooling() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization(name="one")(L.Activation("tanh")(inputs))
    x = L.BatchNormalization(name="two")(L.AveragePooling2D(2)(x))
    return keras.Model(inputs, head(L.Activation("tanh")(x)))


def norm_without_weights() -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(inputs, 4)
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization(center=False, scale=False)(x))))


def open_sizes() -> Any:
    inputs = keras.Input((None, None, 3))
    x = conv_norm(inputs, 4)
    x = L.BatchNormalization()(L.Conv2D(4, 3, activation="tanh")(x))
    return keras.Model(inputs, head(x))


BORDERS = (
    Architecture(normalized_images, {FORWARD: 1, BACK: 1}),
    Architecture(normalized_images_padded, {SHIFT: 1, BACK: 1}, reasons=("To fold it wholly, put it behind conv2d",)),
    Architecture(bytes_in, {BACK: 1}, forced="the shift of preprocessing in front of zero padding"),
    Architecture(preprocessing_inside, {BACK: 1}),
    Architecture(
        normalized_behind_activations,
        {BACK_SHIFT: 1, FORWARD: 1},
        positive=True,
        reasons=("put it between conv2d and that activation, or put it behind conv2d_1",),
    ),
    Architecture(
        normalized_behind_activations_with_gains_of_both_signs,
        {AFFINE: 1, SCALE: 1},
        reasons=("keep gamma from becoming negative", "only its shift is folded"),
    ),
    Architecture(normalized_behind_activations_unpadded, {FORWARD: 2}),
    Architecture(
        padded_explicitly, {BACK: 1, BACK_SHIFT: 1}, reasons=("put it on the other side of zero_padding2d_1",)
    ),
    Architecture(through_many_layers, {BACK: 1}),
    Architecture(flattened_then_normalized, {FORWARD: 1}),
    Architecture(along_another_axis, {AFFINE: 1}, reasons=("normalize axis 3",)),
    Architecture(activations_with_weights, {BACK: 1, FORWARD: 1}, forced="PReLU"),
    Architecture(two_activations_around, {AFFINE: 1}, reasons=("put it between stem and that activation",)),
    Architecture(
        norms_on_both_sides_of_pooling, {MERGED: 1, AFFINE: 1}, reasons=("merged into two", "put it before activation")
    ),
    Architecture(norm_without_weights, {BACK: 1, BACK_SHIFT: 1}, reasons=("put it before activation",)),
    Architecture(open_sizes, {BACK: 1, FORWARD: 1}),
)
