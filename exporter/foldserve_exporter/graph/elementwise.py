"""Elementwise activations, and the split of layers whose activation is not elementwise."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from .ir import Graph, Node, Op, Ref, expand_nodes

_ELEMENTWISE = frozenset(
    (
        "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
        "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
        "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
        "threshold",
    )
)  # fmt: skip


def has_elementwise_activation(op: Op) -> bool:
    """True if a layer's activation is known to be elementwise; softmax, for one, works along the last axis."""
    activation = op.config.get("activation")
    return activation is None or (isinstance(activation, str) and activation in _ELEMENTWISE)


def split_activations(graph: Graph, chosen: Callable[[Op], bool]) -> Graph:
    """The graph in which every chosen layer with an activation that is not elementwise has it as a layer behind it."""
    parts: dict[int, tuple[Op, Op]] = {}

    def write(node: Node, key: int) -> list[Node]:
        if not chosen(node.op) or has_elementwise_activation(node.op):
            return [node]
        if id(node.op) not in parts:
            parts[id(node.op)] = _split(node.op)
        linear, activation = parts[id(node.op)]
        return [replace(node, key=key, op=linear), node.with_op(activation, (Ref(key, 0),))]

    return expand_nodes(graph, write)


def _split(op: Op) -> tuple[Op, Op]:
    activation: dict[str, Any] = {"name": "activation", "activation": op.config["activation"], "dtype": "float32"}
    linear = replace(op, config={**op.config, "activation": "linear"})
    return linear, Op(f"{op.path}/activation", keras.layers.Activation, activation)
