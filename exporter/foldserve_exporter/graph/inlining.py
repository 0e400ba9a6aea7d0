"""Inlining: the choice between layers that are traced into and layers that become a single node."""

from typing import Any

import keras

from . import keras_private as private
from .inference_mode import depends_on_phase, has_dropout, overrides_training_only
from .instantiate import is_stock
from .unreadable_layer import UnreadableCall

_APPLICATIONS = "keras.src.applications."
_NORM = keras.layers.BatchNormalization


def is_inlined(operation: Any, masked: bool, custom: bool = False) -> bool:
    """True if a call has to be traced into: a custom layer that depends on the phase, or a formula of Keras' own.

    Args:
        operation: A layer or an operation, not a functional model.
        masked: True if masks travel beside the tensors; a custom layer that takes the phase cannot be read then.
        custom: True if every custom layer and Lambda is traced into.
    """
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, _NORM):
        return False
    if custom and (isinstance(operation, keras.layers.Lambda) or not is_stock(type(operation))):
        return True
    if is_stock(type(operation)):
        return _is_formula(operation)
    return _contains_phase(operation) or (private.accepts(operation, "training") and not masked)


def check_leaf(operation: Any) -> None:
    """Check a call that becomes a single node: layers in stock wrappers and recurrent layers are not traced.

    Raises:
        UnreadableCall: it holds a BatchNormalization.
    """
    below = private.sublayers(operation) if isinstance(operation, keras.layers.Layer) else []
    if any(isinstance(sublayer, _NORM) for sublayer in below) and not isinstance(operation, _NORM):
        raise UnreadableCall(f"a {type(operation).__name__} calls what it holds by itself")


def makes_masks(model: Any) -> bool:
    """True if a layer makes masks for the layers behind it; masks travel beside the tensors, not in a graph."""
    layers = private.sublayers(model)
    return any(isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in layers)


def _contains_phase(layer: Any) -> bool:
    """True if a custom layer contains layers that behave differently in training."""
    return overrides_training_only(layer) or any(
        depends_on_phase(below) or has_dropout(below) for below in private.sublayers(layer)
    )


def _is_formula(layer: Any) -> bool:
    """True if a layer of keras.applications holds no weights: plain arithmetic that affine maps can be moved across."""
    return type(layer).__module__.startswith(_APPLICATIONS) and not layer.variables
