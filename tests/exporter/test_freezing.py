"""Frozen layers keep their statistics in `fit`, and compute there as in `predict`."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter import freeze
from foldserve_exporter.errors import Refused

from .digits import backbone, digits, with_head

layers = keras.layers


def statistics(model: Any) -> list[bytes]:
    return [np.array(v).tobytes() for v in model.variables if v.name.startswith("moving_")]


def shifted() -> tuple[Any, Any]:
    images, labels = digits()
    return (1.3 - 0.6 * images[:256]).astype(np.float32), labels[:256]


@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_later_fit_keeps_statistics_and_predictions_consistent(fitted_before: bool) -> None:
    body = backbone()
    model = keras.Sequential([keras.Input((8, 8, 1)), body, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    images, labels = shifted()
    if fitted_before:
        model.fit(images, labels, epochs=1, verbose=0)
    assert sorted(freeze(model)) == ["bn_1", "bn_2", "bn_3"]
    before, kernel = statistics(model), np.array(body.get_layer("conv_2").kernel)
    model.fit(images, labels, epochs=2, verbose=0)
    assert statistics(model) == before
    assert not np.array_equal(np.array(body.get_layer("conv_2").kernel), kernel)  # the rest is trained
    np.testing.assert_array_equal(np.asarray(model(images, training=True)), np.asarray(model(images, training=False)))


def test_layers_in_wrappers_and_subclasses_are_frozen_once() -> None:
    @keras.saving.register_keras_serializable("freezing")
    class Normal(keras.layers.BatchNormalization):
        pass

    image = keras.Input((4, 8, 8, 1))
    x = layers.TimeDistributed(backbone())(image)
    model = keras.Model(image, Normal(name="mine")(layers.TimeDistributed(layers.BatchNormalization(name="steps"))(x)))
    assert sorted(freeze(model)) == ["bn_1", "bn_2", "bn_3", "mine", "steps"]
    assert freeze(model) == ()
    others = [layer for layer in model._flatten_layers() if not isinstance(layer, layers.BatchNormalization)]
    assert all(layer.trainable for layer in others)


def test_anything_else_is_refused() -> None:
    with pytest.raises(Refused, match="received Dense"):
        freeze(layers.Dense(3))


def test_only_what_is_frozen_keeps_its_statistics() -> None:
    model = with_head(backbone())
    before = statistics(model)
    model(shifted()[0], training=True)
    assert statistics(model) != before
