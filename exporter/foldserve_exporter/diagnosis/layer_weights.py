"""Weights of a BatchNormalization, and the properties of a layer that are read off them."""

import numpy as np

from foldserve_contract.signature import Array

from ..graph import Node, Op
from .drift import TINY

LARGE_GAIN = 300.0
_DEAD = 1e-6


def unique_ops(nodes: tuple[Node, ...]) -> list[Op]:
    """The ops of some nodes, each once, in the order of the graph."""
    return list({id(node.op): node.op for node in nodes}.values())


def gain(op: Op) -> Array:
    """γ/√(σ²+ε) by channel, float64; NaN where there is no such root."""
    variance = wide(op, "moving_variance", 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_channel: Array = wide(op, "gamma", 1.0) / np.sqrt(variance + float(op.config["epsilon"]))
    return by_channel


def wide(op: Op, name: str, default: float) -> Array:
    """A weight in float64; `default` in every channel where the layer has none."""
    value = op.weight(name)
    if value is None:
        return np.full(op.weights[0].value.shape if op.weights else (1,), default)
    return value.astype(np.float64)


def is_untouched(op: Op) -> bool:
    """Tests whether the statistics are those that Keras begins with."""
    return bool((wide(op, "moving_mean", 1.0) == 0).all() and (wide(op, "moving_variance", 0.0) == 1).all())


def exploding(op: Op) -> Array:
    """Channels that are amplified more than in any healthy layer."""
    with np.errstate(invalid="ignore"):
        large: Array = np.abs(gain(op)) > LARGE_GAIN
    return large


def tiny(op: Op) -> Array:
    """Channels whose variance is far below epsilon, though they are not silenced by their gain."""
    small = wide(op, "moving_variance", 1.0) < TINY * float(op.config["epsilon"])
    active: Array = small & (np.abs(wide(op, "gamma", 1.0)) > _DEAD)
    return active


def constant(op: Op) -> Array:
    """Tiny channels that were constant at a value other than 0; those at 0 lie behind units that are never active."""
    away_from_0: Array = np.abs(wide(op, "moving_mean", 0.0)) > np.sqrt(TINY * float(op.config["epsilon"]))
    return tiny(op) & away_from_0


def dead(op: Op) -> Array:
    """Channels whose gain is 0: no input passes."""
    gamma = np.abs(wide(op, "gamma", 1.0))
    silent: Array = gamma <= _DEAD
    return silent


def is_frozen(op: Op) -> bool:
    """True for a layer that is not trainable, and so keeps its moving statistics in training."""
    return op.config.get("trainable") is False
