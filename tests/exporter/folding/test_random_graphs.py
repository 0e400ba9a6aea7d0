"""Random graphs of unusual wiring: the fold changes no answer."""

from typing import Any

import keras
import numpy as np
import pytest

from tests.exporter.models import assert_folds, randomise

L = keras.layers


class Drawer:
    """Generator of a random model of image layers, branches, joins, shared layers and many normalizations."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.inputs = keras.Input((9, 7, 3))
        self.tensors = [self.inputs]
        self.norms: list[Any] = []

    def pick(self, items: list[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def model(self, steps: int) -> Any:
        for _ in range(steps):
            self.tensors.append(self.pick([self.layer, self.layer, self.norm, self.norm, self.join])())
        ends = [self.head(tensor) for tensor in self.tensors[-3:]]
        model = randomise(keras.Model(self.inputs, ends), seed=int(self.rng.integers(1 << 30)))
        for norm in self.norms:
            if norm.scale and self.rng.random() < 0.5:
                norm.gamma.assign(np.abs(norm.gamma.numpy()))
        return model

    def source(self) -> Any:
        return self.pick(self.tensors[-3:])

    def norm(self) -> Any:
        x = self.source()
        matching = [n for n in self.norms if n.input.shape[-1] == x.shape[-1]]
        if matching and self.rng.random() < 0.2:
            return self.pick(matching)(x) if len(matching[0]._inbound_nodes) == 1 else x
        words = {"center": self.rng.random() < 0.8, "scale": self.rng.random() < 0.8}
        norm = L.BatchNormalization(axis=-1 if self.rng.random() < 0.9 else 1, **words)
        result = norm(x)
        if norm.axis == -1:
            self.norms.append(norm)
        return result

    def layer(self) -> Any:
        x, padding = self.source(), self.pick(["same", "same", "valid"])
        padding = padding if min(x.shape[1:3]) > 4 else "same"
        bias = bool(self.rng.random() < 0.7)
        channels = int(self.rng.integers(2, 5))
        made = self.pick(
            [
                lambda: L.Conv2D(channels, (3, 2), padding=padding, use_bias=bias),
                lambda: L.Conv2D(channels, 1, activation=self.pick([None, "relu", "tanh"])),
                lambda: L.DepthwiseConv2D((2, 3), padding=padding, depth_multiplier=2, use_bias=bias),
                lambda: L.SeparableConv2D(channels, 2, padding=padding, depth_multiplier=2),
                lambda: L.Conv2DTranspose(channels, 2, padding="same", use_bias=bias),
                lambda: L.Dense(channels, use_bias=bias),
                lambda: L.EinsumDense("bhwc,cd->bhwd", (*x.shape[1:3], channels), bias_axes=self.pick([None, "d"])),
                lambda: L.AveragePooling2D(2, strides=1, padding="same"),
                lambda: L.MaxPooling2D(2, strides=1, padding="same"),
                lambda: self.pick([L.ReLU(), L.LeakyReLU(), L.PReLU(shared_axes=[1, 2]), L.Activation("tanh")]),
                lambda: L.UpSampling2D((1, 2)) if x.shape[2] < 20 else L.Identity(),
                lambda: L.ZeroPadding2D(((1, 0), (0, 1))),
                lambda: L.Permute((2, 1, 3)),
                lambda: L.Dropout(0.5),
                lambda: L.Rescaling(0.5, offset=0.1),
            ]
        )()
        return made(x)

    def join(self) -> Any:
        first = self.source()
        same = [t for t in self.tensors if t.shape == first.shape]
        alike = [t for t in self.tensors if t.shape[:3] == first.shape[:3] and t.shape[-1] < 12]
        if self.rng.random() < 0.5:
            return L.Concatenate()([first, self.pick(alike or [first]), self.pick(alike or [first])])
        return self.pick([L.Add, L.Multiply, L.Subtract, L.Average][: 4 if len(same) > 1 else 2])()(
            [first, self.pick(same)]
        )

    def head(self, tensor: Any) -> Any:
        return self.pick(
            [
                lambda: L.Dense(2)(L.Flatten()(tensor)),
                lambda: L.Dense(2)(L.GlobalAveragePooling2D()(tensor)),
                lambda: L.Identity()(tensor),
            ]
        )()


@pytest.mark.parametrize("seed", range(8))
def test_a_random_graph_answers_the_same_when_folded(seed: int) -> None:
    assert_folds(Drawer(seed).model(14))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 180))
def test_many_random_graphs_answer_the_same_when_folded(seed: int) -> None:
    assert_folds(Drawer(seed).model(18))
