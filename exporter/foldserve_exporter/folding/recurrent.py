"""Recurrent layers as hosts of the map before them: W·(s·x + t) + b = (W·s)·x + (b + W·t) at every step."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..graph import Node, Op, Weight
from .arithmetic import Affine, Array, forward_bias, forward_kernel
from .refusal import Refusal, RefusalReason

_L = keras.layers
CELLS = (_L.LSTM, _L.GRU, _L.SimpleRNN)


def forward_recurrent(node: Node, position: int, axis: int, affine: Affine) -> Op | Refusal:
    """Absorb the map on the steps that a layer reads; initial states are not mapped."""
    if position != 0 or axis != 2:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} reads no channels along axis {axis} of that input")
    if node.op.kind is _L.Bidirectional:
        return _both_directions(node, affine)
    config, weights = _absorbed(node.op.kind, node.op.config, node.op.weights, affine)
    return replace(node.op, config=config, weights=weights)


def _both_directions(node: Node, affine: Affine) -> Op | Refusal:
    """A Bidirectional that absorbs the map; its weights are those of the forward layer, then of the backward layer."""
    config, half = dict(node.op.config), len(node.op.weights) // 2
    weights: tuple[Weight, ...] = ()
    for name, part in (("layer", node.op.weights[:half]), ("backward_layer", node.op.weights[half:])):
        inner = config.get(name)
        kind = getattr(_L, inner["class_name"], None) if isinstance(inner, Mapping) else None
        if kind not in CELLS or inner is None or inner.get("registered_name"):
            return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} wraps a layer that absorbs no affine map")
        changed, absorbed = _absorbed(kind, inner["config"], part, affine)
        config[name] = {**inner, "config": changed}
        weights += absorbed
    return replace(node.op, config=config, weights=weights)


def _absorbed(
    kind: type[Any], config: Mapping[str, Any], weights: tuple[Weight, ...], affine: Affine
) -> tuple[Mapping[str, Any], tuple[Weight, ...]]:
    stored = {weight.name: weight.value for weight in weights}
    kernel = stored["kernel"]
    stored["kernel"] = forward_kernel(kernel, affine)
    if affine.has_shift:
        stored["bias"] = _bias(kind, config, kernel, stored.get("bias"), affine)
    return {**config, "use_bias": "bias" in stored}, tuple(Weight(*item) for item in stored.items())


def _bias(kind: type[Any], config: Mapping[str, Any], kernel: Array, bias: Array | None, affine: Affine) -> Array:
    """The bias that absorbs the shift; a GRU with ``reset_after`` stacks two biases, of inputs and of states."""
    if kind is not _L.GRU or not config.get("reset_after"):
        return forward_bias(kernel, bias, affine)
    inputs, states = np.zeros((2, kernel.shape[-1])) if bias is None else bias.astype(np.float64)
    return np.stack([forward_bias(kernel, inputs, affine), states])
