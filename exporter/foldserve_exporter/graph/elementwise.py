"""Activations that look at each value by itself, and those that do not given a place of their own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from .ir import Graph, Node, Op, Ref, sequel

_BY_VALUE = frozenset(
    (
        "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
        "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
        "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
        "threshold",
    )
)  # fmt: skip


def is_by_value(op: Op) -> bool:
    """Whether a layer's activation is known to look at each value by itself: softmax, say, looks at the last axis."""
    activation = op.config.get("activation")
    return activation is None or (isinstance(activation, str) and activation in _BY_VALUE)


def with_own_activations(graph: Graph, chosen: Callable[[Op], bool]) -> Graph:
    """The graph in which the activation of every chosen layer is a layer behind it, if it looks at several values."""
    parts: dict[int, tuple[Op, Op]] = {}

    def write(node: Node, key: int) -> list[Node]:
        if not chosen(node.op) or is_by_value(node.op):
            return [node]
        if id(node.op) not in parts:
            parts[id(node.op)] = _parts(node.op)
        linear, activation = parts[id(node.op)]
        return [replace(node, key=key, op=linear), node.calling(activation, (Ref(key, 0),))]

    return sequel(graph, write)


def _parts(op: Op) -> tuple[Op, Op]:
    activation: dict[str, Any] = {"name": "activation", "activation": op.config["activation"], "dtype": "float32"}
    linear = replace(op, config={**op.config, "activation": "linear"})
    return linear, Op(f"{op.path}/activation", keras.layers.Activation, activation)
