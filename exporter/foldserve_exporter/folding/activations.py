"""Activations, and the affine maps that commute with them."""

from collections.abc import Mapping
from typing import Any

import keras

from ..graph import Op, operations
from .arithmetic import Affine

_L = keras.layers
_HOMOGENEOUS = ("relu", "leaky_relu")
_OPERATIONS = ("Relu", "LeakyRelu")


def activation(op: Op) -> Any:
    """The name of a layer's activation for messages: the string for one of Keras' own, else the function's name."""
    named = op.config.get("activation")
    if isinstance(named, Mapping):
        named = named.get("config", named)
    return getattr(named, "__name__", named)


def _keras_activation(op: Op) -> str | None:
    """The name of an activation of Keras' own, None for any other: a custom function may be called "linear" as well."""
    named = op.config.get("activation", "linear")
    return "linear" if named is None else named if isinstance(named, str) else None


def is_linear(op: Op) -> bool:
    """True if a layer applies no activation."""
    return _keras_activation(op) == "linear"


def passes_scale(op: Op, affine: Affine) -> bool:
    """True if f(s·x) = s·f(x): f is linear on either side of zero, no scale is negative and there is no shift."""
    return not affine.has_shift and affine.keeps_order and _is_homogeneous(op)


def is_activation(op: Op) -> bool:
    """True if an op is an activation and nothing else."""
    return op.kind in (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.Activation) or operations.name_of(op) in _OPERATIONS


def _is_homogeneous(op: Op) -> bool:
    if op.kind is _L.ReLU:
        return op.config.get("max_value") is None and not op.config.get("threshold")
    if op.kind in (_L.LeakyReLU, _L.PReLU):
        return True
    return operations.name_of(op) in _OPERATIONS or _keras_activation(op) in _HOMOGENEOUS
