"""BatchNormalization that hides: in nested models, in classes, behind other precisions and layouts."""

from typing import Any

import keras

from .architecture import BACK, SHIFT, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def _backbone(shape: tuple[int, ...] = IMAGE, name: str = "backbone") -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, conv_norm(conv_norm(inputs, 4, strides=2), 5), name=name)


def frozen_backbone() -> Any:
    """The usual fine-tuning: a frozen backbone called with training=False, a head of one's own."""
    backbone, inputs = _backbone(), keras.Input(IMAGE)
    backbone.trainable = False
    x = L.GlobalAveragePooling2D()(backbone(inputs, training=False))
    return keras.Model(inputs, L.Dense(3)(L.Dropout(0.2)(L.ReLU()(L.BatchNormalization()(L.Dense(6)(x))))))


def live_statistics_baked_in() -> Any:
    """A fault of fine-tuning: batch statistics in every answer. The fold uses moving statistics."""
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3)(inputs)
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(x, training=False))))


def nested_twice() -> Any:
    inner = keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()], name="inner")
    middle = keras.Sequential([keras.Input(IMAGE), inner, L.Conv2D(5, 3), L.BatchNormalization()], name="middle")
    return keras.Sequential([keras.Input(IMAGE), middle, L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(2)])


def norm_across_a_border() -> Any:
    """The host ends one model, its normalization begins the next."""
    ends, begins = keras.Input(IMAGE), keras.Input((10, 8, 4))
    first = keras.Model(ends, L.Conv2D(4, 3)(ends), name="first")
    second = keras.Model(begins, head(L.ReLU()(L.BatchNormalization()(begins))), name="second")
    return keras.Sequential([keras.Input(IMAGE), first, second])


@keras.saving.register_keras_serializable("matrix")
class Block(keras.layers.Layer):
    """A residual block as a class of its own."""

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.conv, self.norm = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()
        self.project = L.Conv2D(filters, 1)
        self.drop = L.Dropout(0.3)

    def build(self, shape: Any) -> None:
        for layer in (self.conv, self.project):
            layer.build(shape)
        self.norm.build((*shape[:-1], self.filters))
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        y = self.drop(self.norm(self.conv(x), training=training), training=training)
        return keras.ops.relu(y + self.project(x))

    def get_config(self) -> Any:
        return {**super().get_config(), "filters": self.filters}


def blocks_of_a_class() -> Any:
    inputs = keras.Input(IMAGE)
    return keras.Model(inputs, head(Block(5)(Block(4)(inputs))))


class Subclassed(keras.Model):
    """A model written as a class: it is read by calling it on symbolic inputs."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.blocks = [Block(4), Block(5)]
        self.conv, self.norm = L.Conv2D(4, (3, 2)), L.BatchNormalization()
        self.pool, self.scores = L.GlobalAveragePooling2D(), L.Dense(3)

    def call(self, x: Any, training: bool | None = None) -> Any:
        for block in self.blocks:
            x = block(x, training=training)
        return self.scores(self.pool(keras.ops.relu(self.norm(self.conv(x), training=training))))


def subclassed_model() -> Any:
    model = Subclassed()
    model(keras.ops.zeros((1, *IMAGE)))
    return model


@keras.saving.register_keras_serializable("matrix")
class Named(keras.layers.BatchNormalization):
    """A subclass that computes the same."""


def subclassed_norm() -> Any:
    inputs = keras.Input(IMAGE)
    return keras.Model(inputs, head(L.ReLU()(Named()(L.Conv2D(4, 3)(inputs)))))


@keras.saving.register_keras_serializable("matrix")
class Curve(keras.layers.Layer):
    """A layer with weights of its own, through which nothing folds."""

    def build(self, shape: Any) -> None:
        self.slope = self.add_weight(shape=(shape[-1],), name="slope")

    def call(self, x: Any) -> Any:
        return x * keras.ops.sigmoid(self.slope * x)


def layer_of_ones_own() -> Any:
    inputs = keras.Input(IMAGE)
    x = Curve()(L.BatchNormalization()(L.Conv2D(4, 3)(inputs)))
    return keras.Model(inputs, head(L.ReLU()(L.BatchNormalization()(L.Conv2D(5, 3)(x)))))


def batch_renormalization() -> Any:
    x = inputs = keras.Input(IMAGE)
    for filters in (4, 5):
        x = L.ReLU()(L.BatchNormalization(renorm=True)(L.Conv2D(filters, 3)(x)))
    return keras.Model(inputs, head(x))


def half_precision() -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input(IMAGE)
        x = conv_norm(conv_norm(inputs, 4), 5)
        return keras.Model(inputs, L.Activation("softmax", dtype="float32")(head(x)))
    finally:
        keras.config.set_dtype_policy(before)


def channels_first() -> Any:
    words = {"data_format": "channels_first"}
    inputs = keras.Input((3, 12, 10))
    x = L.Conv2D(4, (3, 2), **words)(inputs)
    x = L.MaxPooling2D(2, **words)(L.ReLU()(L.BatchNormalization(axis=1)(x)))
    y = L.DepthwiseConv2D(3, padding="same", **words)(x)
    x = L.Concatenate(axis=1)([x, L.ReLU()(L.BatchNormalization(axis=1)(y))])
    return keras.Model(inputs, L.Dense(3)(L.Flatten(**words)(L.AveragePooling2D(2, **words)(x))))


def channels_first_preactivated() -> Any:
    words = {"data_format": "channels_first"}
    inputs = keras.Input((4, 9, 7))
    x = L.ReLU()(L.BatchNormalization(axis=1)(L.Activation("tanh")(inputs)))
    x = L.Conv2D(5, 3, padding="same", **words)(x)
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D(**words)(x)))


def spectral_weights() -> Any:
    inputs = keras.Input(IMAGE)
    x = L.ReLU()(L.BatchNormalization()(L.SpectralNormalization(L.Conv2D(4, 3))(inputs)))
    return keras.Model(inputs, L.SpectralNormalization(L.Dense(2))(L.GlobalAveragePooling2D()(x)))


WRAPPED = (
    Architecture(frozen_backbone, {BACK: 3}),
    Architecture(live_statistics_baked_in, {BACK: 1}),
    Architecture(nested_twice, {BACK: 2}),
    Architecture(norm_across_a_border, {BACK: 1}),
    Architecture(blocks_of_a_class, {BACK: 2}),
    Architecture(subclassed_model, {BACK: 3}),
    Architecture(subclassed_norm, {BACK: 1}),
    Architecture(layer_of_ones_own, {BACK: 2}, forced="a product with a weight of its own"),
    Architecture(batch_renormalization, {BACK: 2}),
    Architecture(half_precision, {BACK: 2}, exactness=2e-2),
    Architecture(channels_first, {BACK: 2}),
    Architecture(channels_first_preactivated, {SHIFT: 1}, positive=True, reasons=("only its scale is folded",)),
    Architecture(spectral_weights, {BACK: 1}),
)
