"""Images out: generators, autoencoders, finer images from coarse ones."""

from typing import Any

import keras

from .architecture import BACK, FORWARD, SHIFT, Architecture
from .blocks import IMAGE, conv_norm

L = keras.layers


def generator() -> Any:
    inputs = keras.Input((7,), name="noise")
    x = L.LeakyReLU()(L.BatchNormalization()(L.Dense(3 * 2 * 6, use_bias=False)(inputs)))
    x = L.Reshape((3, 2, 6))(x)
    for filters in (5, 4):
        x = L.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = L.LeakyReLU()(L.BatchNormalization()(x))
    return keras.Model(inputs, L.Conv2DTranspose(3, 3, padding="same", activation="tanh")(x))


def discriminator() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.LeakyReLU(0.2)(L.Conv2D(4, 4, strides=2, padding="same")(inputs))
    for filters in (5, 6):
        x = L.LeakyReLU(0.2)(L.BatchNormalization()(L.Conv2D(filters, 4, strides=2, padding="same")(x)))
    return keras.Model(inputs, L.Dense(1)(L.Dropout(0.3)(L.Flatten()(x))))


def conditional_generator() -> Any:
    noise, label = keras.Input((5,), name="noise"), keras.Input((1,), dtype="int32", name="label")
    embedded = L.Flatten()(L.Embedding(4, 3)(label))
    x = L.ReLU()(L.BatchNormalization()(L.Dense(24)(L.Concatenate()([noise, embedded]))))
    x = L.UpSampling2D((3, 2))(L.Reshape((2, 3, 4))(x))
    return keras.Model([noise, label], L.Conv2D(1, 3, padding="same", activation="tanh")(conv_norm(x, 3)))


def normalized_before_transposed() -> Any:
    """A shift before a transposed convolution stays: what it adds behind it depends on the position."""
    inputs = keras.Input((4, 3, 5))
    x = L.BatchNormalization()(L.Activation("tanh")(inputs))
    x = L.ReLU()(L.Conv2DTranspose(4, 3, strides=2)(x))
    return keras.Model(inputs, L.Conv2D(2, 1)(L.BatchNormalization()(x)))


def autoencoder() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.GaussianNoise(0.2)(inputs)
    x = conv_norm(conv_norm(x, 5, strides=2), 3, 1)
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = L.Activation("elu")(L.BatchNormalization()(x))
    return keras.Model(inputs, L.Conv2D(3, 3, padding="same", activation="sigmoid")(x))


@keras.saving.register_keras_serializable("matrix")
class Sampling(keras.layers.Layer):
    """The mean in inference, noise around it in training."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        mean, spread = inputs
        if training:
            return mean + keras.ops.exp(spread / 2) * keras.random.normal(keras.ops.shape(mean))
        return mean


def variational_autoencoder() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Flatten()(conv_norm(inputs, 4, strides=2))
    mean = L.Dense(3, name="mean")(x)
    spread = L.Dense(3, name="log_variance")(x)
    x = L.ReLU()(L.BatchNormalization()(L.Dense(6 * 5 * 4)(Sampling()([mean, spread]))))
    x = L.Conv2DTranspose(3, 3, strides=2, padding="same")(L.Reshape((6, 5, 4))(x))
    return keras.Model(inputs, {"mean": mean, "spread": spread, "image": L.Activation("sigmoid")(x)})


def finer_image() -> Any:
    """Pixels out of channels, by reshaping and transposing."""
    inputs = keras.Input(IMAGE)
    x = start = conv_norm(inputs, 4, activation=None)
    x = L.Add()([start, conv_norm(conv_norm(x, 4), 4, activation=None)])
    x = L.BatchNormalization()(L.Conv2D(12, 3, padding="same")(x))
    x = L.Permute((1, 3, 2, 4, 5))(L.Reshape((12, 10, 2, 2, 3))(x))
    return keras.Model(inputs, L.Activation("sigmoid")(L.Reshape((24, 20, 3))(x)))


def repainted_image() -> Any:
    """Resized by nearest neighbours between normalizations."""
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same", strides=2)(inputs)
    x = L.ReLU()(L.BatchNormalization()(L.UpSampling2D(2)(x)))
    x = L.BatchNormalization()(L.Resizing(9, 13, interpolation="bilinear")(L.Conv2D(3, 3)(x)))
    return keras.Model(inputs, L.Activation("tanh")(x))


GENERATORS = (
    Architecture(generator, {BACK: 3}),
    Architecture(discriminator, {BACK: 2}),
    Architecture(conditional_generator, {BACK: 2}),
    Architecture(normalized_before_transposed, {SHIFT: 1, FORWARD: 1}, reasons=("put it behind conv2d_transpose",)),
    Architecture(autoencoder, {BACK: 3}),
    Architecture(variational_autoencoder, {BACK: 2}),
    Architecture(finer_image, {BACK: 4}),
    Architecture(repainted_image, {BACK: 2}),
)
