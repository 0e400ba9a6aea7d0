"""Which layers are read as what they consist of, and which may stand for themselves."""

from typing import Any

import keras

from . import keras_private as private
from .inference_mode import depends_on_phase, has_dropout, overrides_training_only
from .instantiate import is_stock
from .unreadable_layer import UnreadableCall

_APPLICATIONS = "keras.src.applications."
_NORM = keras.layers.BatchNormalization


def is_inlined(operation: Any, masked: bool) -> bool:
    """True if inference has to know what a call of no functional model consists of.

    Args:
        operation: A layer or an operation.
        masked: Whether masks travel beside the tensors; a custom layer that hears the phase cannot be read then.
    """
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, _NORM):
        return False
    if is_stock(type(operation)):
        return _is_formula(operation)
    return _contains_phase(operation) or (private.accepts(operation, "training") and not masked)


def check_leaf(operation: Any) -> None:
    """Stock wrappers and recurrent layers show nothing of what they hold.

    Raises:
        Unreadable: it holds a BatchNormalization.
    """
    below = private.sublayers(operation) if isinstance(operation, keras.layers.Layer) else []
    if any(isinstance(each, _NORM) for each in below) and not isinstance(operation, _NORM):
        raise UnreadableCall(f"a {type(operation).__name__} calls what it holds by itself")


def makes_masks(model: Any) -> bool:
    """True if a layer makes masks for the layers behind it; those travel beside the tensors, unseen by a graph."""
    layers = private.sublayers(model)
    return any(isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False) for each in layers)


def _contains_phase(layer: Any) -> bool:
    """True if a custom layer holds layers that inference must see."""
    return overrides_training_only(layer) or any(
        depends_on_phase(below) or has_dropout(below) for below in private.sublayers(layer)
    )


def _is_formula(layer: Any) -> bool:
    """True if a layer of keras.applications only writes arithmetic down, through which maps can go."""
    return type(layer).__module__.startswith(_APPLICATIONS) and not layer.variables
