"""Hosts that absorb the BatchNormalization behind them: rectangular kernels, strides, dilation, groups."""

from collections.abc import Callable
from typing import Any

import keras
import pytest

from tests.exporter.models import actions, assert_folds, kinds, randomise

L = keras.layers
IMAGE, SERIES, VOLUME = (9, 7, 4), (11, 4), (5, 6, 4, 4)

HOSTS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "conv1d": (SERIES, lambda: L.Conv1D(5, 3, strides=2, padding="causal")),
    "conv1d dilated": (SERIES, lambda: L.Conv1D(5, 3, dilation_rate=2)),
    "conv2d": (IMAGE, lambda: L.Conv2D(5, (3, 2), strides=(2, 1), padding="same")),
    "conv2d without bias": (IMAGE, lambda: L.Conv2D(5, (3, 2), use_bias=False)),
    "conv2d dilated": (IMAGE, lambda: L.Conv2D(5, (2, 3), dilation_rate=(2, 1))),
    "conv2d grouped": (IMAGE, lambda: L.Conv2D(6, (3, 2), groups=2)),
    "conv3d": (VOLUME, lambda: L.Conv3D(3, (2, 3, 1))),
    "depthwise1d": (SERIES, lambda: L.DepthwiseConv1D(3, depth_multiplier=2)),
    "depthwise2d": (IMAGE, lambda: L.DepthwiseConv2D((3, 2), depth_multiplier=2, padding="same")),
    "separable1d": (SERIES, lambda: L.SeparableConv1D(5, 3, depth_multiplier=2)),
    "separable2d": (IMAGE, lambda: L.SeparableConv2D(5, (3, 2), depth_multiplier=2, use_bias=False)),
    "transposed1d": (SERIES, lambda: L.Conv1DTranspose(5, 3, strides=2)),
    "transposed2d": (IMAGE, lambda: L.Conv2DTranspose(5, (3, 2), strides=(2, 1), padding="same")),
    "transposed3d": (VOLUME, lambda: L.Conv3DTranspose(3, 2, use_bias=False)),
    "dense": ((6,), lambda: L.Dense(5)),
    "dense on a sequence": (SERIES, lambda: L.Dense(5, use_bias=False)),
    "einsum": (SERIES, lambda: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")),
    "einsum without bias": (SERIES, lambda: L.EinsumDense("abc,cde->abde", (None, 3, 5))),
    "einsum with a map of biases": (SERIES, lambda: L.EinsumDense("abc,cd->abd", (11, 5), bias_axes="bd")),
    "einsum with an ellipsis": (IMAGE, lambda: L.EinsumDense("...x,xy->...y", 5, bias_axes="y")),
    "embedding": ((7,), lambda: L.Embedding(9, 5)),
    "layer normalization": (IMAGE, lambda: L.LayerNormalization()),
    "layer normalization without gain": (IMAGE, lambda: L.LayerNormalization(center=False, scale=False)),
    "group normalization": (IMAGE, lambda: L.GroupNormalization(2)),
    "spectrally normalised": (IMAGE, lambda: L.SpectralNormalization(L.Conv2D(5, 3))),
    "constrained": (IMAGE, lambda: L.Conv2D(5, 3, kernel_constraint="max_norm", kernel_regularizer="l2")),
}


def after(shape: tuple[int, ...], host: Any, **bn: Any) -> Any:
    inputs = keras.Input(shape)
    return randomise(keras.Model(inputs, L.ReLU()(L.BatchNormalization(**bn)(host(inputs)))))


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_absorbs_the_map_behind_it(name: str) -> None:
    shape, host = HOSTS[name]
    folded = assert_folds(after(shape, host()))
    assert actions(folded) == ["backward"]
    assert len(kinds(folded.model)) == (5 if "grouped" in name else 2)


@pytest.mark.parametrize(
    "bn",
    [
        {"center": False},
        {"scale": False},
        {"center": False, "scale": False},
        {"epsilon": 0.3},
        {"renorm": True, "renorm_momentum": 0.5},
        {"synchronized": True},
        {"axis": 3},
        {"trainable": False},
    ],
    ids=str,
)
def test_every_kind_of_batch_normalization_folds(bn: dict[str, Any]) -> None:
    folded = assert_folds(after(IMAGE, L.Conv2D(5, (3, 2)), **bn))
    assert actions(folded) == ["backward"]
    assert len(kinds(folded.model)) == 2


def test_batch_normalizations_in_a_row_fold_one_after_the_other() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(5, 3)(inputs)
    for _ in range(3):
        x = L.BatchNormalization()(x)
    folded = assert_folds(randomise(keras.Model(inputs, x)))
    assert actions(folded) == ["backward"] * 3
    assert kinds(folded.model) == ["Conv2D"]
    assert {entry.host for entry in folded.plan} == {folded.model.layers[-1].name}


@pytest.mark.parametrize("training", [True, False])
def test_a_baked_phase_does_not_reach_the_folded_model(training: bool) -> None:
    inputs = keras.Input(IMAGE)
    model = keras.Model(inputs, L.BatchNormalization()(L.Conv2D(5, 3)(inputs), training=training))
    assert actions(assert_folds(randomise(model))) == ["backward"]


def test_a_nested_backbone_folds_and_keeps_the_names() -> None:
    inputs = keras.Input(IMAGE)
    inner = keras.Model(inputs, L.BatchNormalization(name="bn")(L.Conv2D(5, 3, name="conv")(inputs)), name="backbone")
    model = keras.Sequential([keras.Input(IMAGE, name="image"), inner, L.Flatten(), L.Dense(2, name="head")])
    folded = assert_folds(randomise(model))
    entry = folded.plan[0]
    assert (entry.bn, entry.call, entry.host) == ("backbone/bn", 0, "backbone/conv")
    assert {"image", "conv", "head"} <= {op.name for op in folded.model.operations}


def test_tiny_and_huge_statistics_fold_as_well_as_they_compute() -> None:
    import numpy as np

    model = after(IMAGE, L.Conv2D(5, (3, 2)), epsilon=1e-5)
    bn = model.layers[2]
    bn.moving_variance.assign(np.full(5, 1e-10, np.float32))
    bn.moving_mean.assign(np.full(5, 1000.0, np.float32))
    assert actions(assert_folds(model)) == ["backward"]
