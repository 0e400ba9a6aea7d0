"""What of an affine map an activation lets through."""

from collections.abc import Mapping
from typing import Any

import keras

from ..graph import Op, operations
from .arithmetic import Affine

_L = keras.layers
_HOMOGENEOUS = ("relu", "leaky_relu")
_OPERATIONS = ("Relu", "LeakyRelu")


def activation(op: Op) -> Any:
    """The name of a layer's activation, as its configuration has it."""
    named = op.config.get("activation")
    return named.get("config", named) if isinstance(named, Mapping) else named


def is_linear(op: Op) -> bool:
    """Whether a layer applies no activation."""
    return activation(op) in (None, "linear")


def passes_scale(op: Op, affine: Affine) -> bool:
    """Whether f(s·x) = s·f(x): f is straight on both sides of zero, no scale is negative and there is no shift."""
    return not affine.has_shift and affine.keeps_order and _is_homogeneous(op)


def is_activation(op: Op) -> bool:
    """Whether an op is an activation and nothing else."""
    return op.kind in (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.Activation) or operations.name_of(op) in _OPERATIONS


def _is_homogeneous(op: Op) -> bool:
    if op.kind is _L.ReLU:
        return op.config.get("max_value") is None and not op.config.get("threshold")
    if op.kind in (_L.LeakyReLU, _L.PReLU):
        return True
    return operations.name_of(op) in _OPERATIONS or activation(op) in _HOMOGENEOUS
