"""Hosts without a kernel: the gain of other normalizations, and the table of an Embedding."""

from dataclasses import replace

import keras
import numpy as np

from ..graph import Node, Op, Weight
from .arithmetic import Affine, backward_bias
from .refusal import Refusal, RefusalReason


def absorb_in_gain(node: Node, axis: int, affine: Affine) -> Op | Refusal:
    """LayerNormalization and GroupNormalization end with γ·x + β: γ' = γ·s, β' = β·s + t."""
    config, last = node.op.config, len(node.outputs[0].shape) - 1
    axes = config["axis"] if isinstance(config["axis"], list | tuple) else [config["axis"]]
    if axis != last or [a % (last + 1) for a in axes] != [last] or config.get("rms_scaling"):
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} has no gain along the normalized axis {axis}")
    gamma = node.op.weight("gamma")
    gain = affine.scale if gamma is None else gamma.astype(np.float64) * affine.scale
    weights = (Weight("gamma", gain), Weight("beta", backward_bias(node.op.weight("beta"), affine)))
    return replace(node.op, config={**config, "center": True, "scale": True}, weights=weights)


def absorb_in_table(node: Node, axis: int, affine: Affine) -> Op | Refusal:
    """An Embedding's vectors (tokens, channels) are mapped one by one: E' = E·s + t."""
    table = node.op.weight("embeddings")
    if table is None or len(node.op.weights) != 1 or axis != len(node.outputs[0].shape) - 1:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} has no vectors along the normalized axis {axis}")
    return replace(node.op, weights=(Weight("embeddings", backward_bias(table, affine)),))


RULES = {
    keras.layers.LayerNormalization: absorb_in_gain,
    keras.layers.GroupNormalization: absorb_in_gain,
    keras.layers.Embedding: absorb_in_table,
}
