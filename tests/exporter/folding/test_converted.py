"""Purpose of the fold: the number of nodes that are left when the folded model becomes ONNX."""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_exporter.folding import fold
from tests.exporter.models import assert_folds, kinds, randomise

L = keras.layers


def converted(model: Any) -> Counter[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tf2onnx

        spec = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="x")]
        function = tf.function(lambda x: model(x, training=False), input_signature=spec)
        proto, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=17)
    return Counter(node.op_type for node in proto.graph.node)


def chain(*layers: Any, positive: bool = True) -> Any:
    model = keras.Sequential([keras.Input((8, 6, 3)), *layers])
    randomise(model)
    for layer in model.layers:
        if positive and isinstance(layer, L.BatchNormalization):
            layer.gamma.assign(np.abs(layer.gamma.numpy()) + 0.1)
    return fold(model).model


CHAINS: dict[str, tuple[Callable[[], Any], dict[str, int]]] = {
    "conv": (lambda: [L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), L.ReLU()], {}),
    "dense": (lambda: [L.Flatten(), L.Dense(4, use_bias=False), L.BatchNormalization()], {"Add": 1}),
    "preactivation": (lambda: [L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 3, padding="same")], {"Add": 1}),
    "lone": (lambda: [L.ReLU(), L.BatchNormalization(), L.ELU()], {"Mul": 1, "Add": 1}),
    "transposed": (lambda: [L.Conv2DTranspose(4, 3), L.BatchNormalization(), L.ELU()], {}),
}


GROUPED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "depthwise": (lambda: L.Conv2D(6, (3, 2), groups=3), ["DepthwiseConv2D"]),
    "depthwise with an activation": (lambda: L.Conv2D(3, 2, groups=3, activation="tanh"), ["DepthwiseConv2D"]),
    "uneven strides": (
        lambda: L.Conv2D(6, (3, 2), groups=3, strides=(1, 2)),
        ["Split", *["Conv2D"] * 3, "Concatenate"],
    ),
}


@pytest.mark.parametrize("name", GROUPED)
def test_grouped_convolutions_are_such_as_onnx_can_hold(name: str) -> None:
    layer, expected = GROUPED[name]
    inputs = keras.Input((8, 6, 3))
    folded = assert_folds(randomise(keras.Model(inputs, L.BatchNormalization()(layer()(inputs)))))
    assert [kind for kind in kinds(folded.model) if kind != "Rescaling"] == expected
    assert "StatefulPartitionedCall" not in converted(folded.model)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups_of_several_channels_stand_side_by_side(rank: int) -> None:
    inputs = keras.Input((*(7, 6, 5)[:rank], 4))
    conv = (L.Conv1D, L.Conv2D, L.Conv3D)[rank - 1](6, 2, groups=2)
    folded = assert_folds(randomise(keras.Model(inputs, L.ReLU()(L.BatchNormalization()(conv(inputs))))))
    assert kinds(folded.model) == ["Split", *[type(conv).__name__] * 2, "Concatenate", "ReLU"]


@pytest.mark.parametrize("name", CHAINS)
def test_no_arithmetic_is_left_that_could_be_folded(name: str) -> None:
    layers, expected = CHAINS[name]
    counts = converted(chain(*layers()))
    arithmetic = {"BatchNormalization", "Rsqrt", "Sqrt", "Reciprocal", "Mul", "Add", "Sub", "Div"}
    assert {op: count for op, count in counts.items() if op in arithmetic} == expected
