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
    expected = 1e-5 / np.median(np.abs(x[0] * kernel))
    assert sensitivity(model, {"x": x}, {"y": 1e-5}) == {"y/kernel": pytest.approx(expected, rel=1e-6)}


def test_pointwise_convolutions_with_strides_and_few_channels_end_no_process() -> None:
    """About every second run of this in float32 died inside oneDNN, in TensorFlow 2.21."""
    shortcut = keras.layers.Conv2D(16, 1, strides=2, name="shortcut")
    model = named(keras.Input((16, 16, 8), name="x"), shortcut, keras.layers.GlobalAveragePooling2D(name="y"))
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 8)).astype(np.float32)
    for _ in range(10):
        assert set(sensitivity(model, {"x": x}, {"y": 1e-5})) == {"shortcut/kernel"}
