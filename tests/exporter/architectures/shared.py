"""Layers called more than once, several inputs, several outputs."""

from typing import Any

import keras

from .architecture import AFFINE, BACK, FORWARD, Architecture
from .blocks import IMAGE, conv_norm, head

L = keras.layers


def _tower(name: str) -> Any:
    inputs = keras.Input(IMAGE)
    x = conv_norm(conv_norm(inputs, 4, strides=2), 5)
    return keras.Model(inputs, L.GlobalAveragePooling2D()(x), name=name)


def siamese() -> Any:
    tower, left, right = _tower("tower"), keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    distance = keras.ops.abs(L.Subtract()([tower(left), tower(right)]))
    return keras.Model([left, right], L.Dense(1, activation="sigmoid")(distance))


def triplet() -> Any:
    tower = _tower("tower")
    inputs = {name: keras.Input(IMAGE, name=name) for name in ("anchor", "negative", "positive")}
    answers = {name: L.UnitNormalization()(tower(tensor)) for name, tensor in inputs.items()}
    return keras.Model(inputs, answers)


def shared_layers() -> Any:
    """A convolution with its normalization, called on two inputs without a model around them."""
    left, right = keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    conv, norm = L.Conv2D(4, (3, 2), name="conv"), L.BatchNormalization(name="norm")
    parts = [L.GlobalAveragePooling2D()(L.ReLU()(norm(conv(side)))) for side in (left, right)]
    return keras.Model([left, right], L.Dense(2)(L.Concatenate()(parts)))


def norms_of_two_domains() -> Any:
    """One convolution, a normalization for each domain: it becomes two convolutions."""
    left, right = keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    conv = L.Conv2D(4, 3, name="conv")
    parts = [L.ReLU()(L.BatchNormalization()(conv(side))) for side in (left, right)]
    return keras.Model([left, right], [head(part) if not i else L.Flatten()(part) for i, part in enumerate(parts)])


def norm_shared_by_hosts() -> Any:
    inputs = keras.Input(IMAGE)
    norm = L.BatchNormalization(name="norm")
    x = norm(L.Conv2D(4, 3, padding="same")(inputs))
    x = norm(L.DepthwiseConv2D(3, padding="same")(L.ReLU()(x)))
    return keras.Model(inputs, head(L.ReLU()(x)))


def pictures_and_figures() -> Any:
    image, figures = keras.Input(IMAGE, name="image"), keras.Input((5,), name="figures")
    x = L.GlobalAveragePooling2D()(conv_norm(image, 4))
    y = L.ReLU()(L.BatchNormalization()(L.Dense(6)(L.BatchNormalization()(figures))))
    joined = L.BatchNormalization()(L.Concatenate()([x, y]))
    return keras.Model({"image": image, "figures": figures}, L.Dense(3)(joined))


def several_tasks() -> Any:
    inputs = keras.Input(IMAGE, name="image")
    x = conv_norm(inputs, 4)
    flat = L.GlobalAveragePooling2D()(x)
    return keras.Model(
        inputs,
        {
            "kind": L.Dense(3, activation="softmax")(flat),
            "age": L.Dense(1)(L.BatchNormalization()(L.Dense(4, activation="relu")(flat))),
            "mask": L.Conv2D(1, 1, activation="sigmoid")(conv_norm(x, 3)),
        },
    )


def output_that_is_read_on() -> Any:
    """A host whose own output is asked for keeps it: the normalization behind it stays an affine."""
    inputs = keras.Input(IMAGE)
    features = L.Conv2D(4, 3, name="features")(inputs)
    x = L.Activation("tanh")(L.BatchNormalization(name="norm")(features))
    return keras.Model(inputs, [features, head(x)])


def two_nested_inputs() -> Any:
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    join = keras.Model([a, b], L.BatchNormalization()(L.Dense(5)(L.Concatenate()([a, b]))), name="join")
    x, y = keras.Input((6,), name="x"), keras.Input((4,), name="y")
    return keras.Model({"x": x, "y": y}, L.Dense(2)(L.ReLU()(join([x, y]))))


SHARED = (
    Architecture(siamese, {BACK: 4}),
    Architecture(triplet, {BACK: 6}, forced="UnitNormalization"),
    Architecture(shared_layers, {BACK: 2}),
    Architecture(norms_of_two_domains, {BACK: 2}),
    Architecture(norm_shared_by_hosts, {BACK: 2}),
    Architecture(pictures_and_figures, {BACK: 2, FORWARD: 2}),
    Architecture(several_tasks, {BACK: 2, FORWARD: 1}),
    Architecture(output_that_is_read_on, {AFFINE: 1}, reasons=("leave features out of the model's outputs",)),
    Architecture(two_nested_inputs, {BACK: 1}),
)
