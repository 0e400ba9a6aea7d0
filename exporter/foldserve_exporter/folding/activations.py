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
    """The name of a layer's activation for people; what Keras knows by name, it has as a string."""
    named = op.config.get("activation")
    if isinstance(named, Mapping):
        named = named.get("config", named)
    return getattr(named, "__name__", named)


def _known(op: Op) -> str | None:
    """The name of an activation of Keras' own: a function of the user's may be called "linear" as well."""
    named = op.config.get("activation", "linear")
    return "linear" if named is None else named if isinstance(named, str) else None


def is_linear(op: Op) -> bool:
    """True if a layer applies no activation."""
    return _known(op) == "linear"


def passes_scale(op: Op, affine: Affine) -> bool:
    """True if f(s·x) = s·f(x): f is straight on both sides of zero, no scale is negative and there is no shift."""
    return not affine.has_shift and affine.keeps_order and _is_homogeneous(op)


def is_activation(op: Op) -> bool:
    """True if an op is an activation and nothing else."""
    return op.kind in (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.Activation) or operations.name_of(op) in _OPERATIONS


def _is_homogeneous(op: Op) -> bool:
    if op.kind is _L.ReLU:
        return op.config.get("max_value") is None and not op.config.get("threshold")
    if op.kind in (_L.LeakyReLU, _L.PReLU):
        return True
    return operations.name_of(op) in _OPERATIONS or _known(op) in _HOMOGENEOUS
