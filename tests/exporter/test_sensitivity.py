"""The report holds the smallest change of a weight that the golden samples notice."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.verify.sensitivity import sensitivity

from .models import randomise


def named(*layers: Any) -> NamedModel:
    graph = trace(randomise(keras.Sequential(list(layers))))
    return NamedModel.of(rebuild(graph), graph)


def test_it_is_the_share_of_the_median_weight_that_moves_the_answer_by_what_is_promised() -> None:
    model = named(keras.Input((5,), name="x"), keras.layers.Dense(1, name="y"))
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    kernel = np.asarray(model.model.get_layer("y").kernel)[:, 0]
    expected = 1e-5 / np.median(np.abs(x * kernel).max(axis=0))  # each weight is noticed by the row it moves most
    assert sensitivity(model, {"x": x}, {"y": 1e-5}) == {"y/kernel": pytest.approx(expected, rel=1e-6)}


def test_what_it_says_is_what_happens() -> None:
    """A weight of median influence that changes by a little more is noticed, and by much less is not."""
    model = named(
        keras.Input((6, 5, 2), name="x"),
        keras.layers.Conv2D(4, 3, activation="tanh", name="conv"),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax", name="y"),
    )
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype(np.float32)
    promised = 1e-4
    share = sensitivity(model, {"x": x}, {"y": promised})["conv/kernel"]
    assert share is not None
    exact = NamedModel(rebuild(trace(model.model), "float64"), model.inputs, model.outputs)
    kernel, before = exact.model.get_layer("conv").kernel, exact.run({"x": x.astype(np.float64)})["y"]
    values = np.array(kernel)

    def noticed(change: float) -> float:
        hits = 0
        for index in range(values.size):
            moved = values.copy()
            moved.flat[index] *= 1 + change
            kernel.assign(moved)
            hits += bool(np.abs(exact.run({"x": x.astype(np.float64)})["y"] - before).max() > promised)
        return hits / values.size

    assert noticed(share / 2) < 0.5 < noticed(share * 1.5)


def test_a_saturated_element_does_not_make_the_layers_before_it_blind() -> None:
    """The largest of several tanh is 1 whatever the weights do; the others say what they notice."""
    hidden = keras.layers.Dense(4, name="hidden")
    model = named(keras.Input((5,), name="x"), hidden, keras.layers.Dense(8, activation="tanh", name="y"))
    kernel = model.model.get_layer("y").kernel
    kernel.assign(np.array(kernel) * np.where(np.arange(8) == 0, 1e4, 0.3))
    x = np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32)
    assert np.abs(model.run({"x": x})["y"]).max() == 1
    noticed = sensitivity(model, {"x": x}, {"y": 1e-5})["hidden/kernel"]
    assert noticed is not None and noticed < 0.01


def test_pointwise_convolutions_with_strides_and_few_channels_end_no_process() -> None:
    """About every second run of this in float32 died inside oneDNN, in TensorFlow 2.21."""
    shortcut = keras.layers.Conv2D(16, 1, strides=2, name="shortcut")
    model = named(keras.Input((16, 16, 8), name="x"), shortcut, keras.layers.GlobalAveragePooling2D(name="y"))
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 8)).astype(np.float32)
    for _ in range(10):
        assert set(sensitivity(model, {"x": x}, {"y": 1e-5})) == {"shortcut/kernel"}
