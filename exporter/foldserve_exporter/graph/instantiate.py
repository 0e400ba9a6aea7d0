"""Instantiation of an op: a new Keras layer from its configuration, or a copy of a weightless operation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from ..error_text import error_text
from ..errors import Refused
from . import keras_private as private
from .ir import Op
from .layer_config import inference_config
from .unreadable_layer import build_like, silence_training


@contextmanager
def policy(dtype: str) -> Iterator[None]:
    """Set Keras' global dtype policy meanwhile: the layers that a custom layer constructs take it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def is_stock(kind: type[Any]) -> bool:
    """True if a class comes with Keras."""
    return kind.__module__.split(".")[0] == "keras"


def instantiate(op: Op, name: str, dtype: str) -> Any:
    """A new Keras layer or operation that computes in ``dtype``; its weights are not set yet.

    Raises:
        Refused: the layer cannot be constructed from its own configuration.
    """
    if op.template is not None and not isinstance(op.template, keras.layers.Layer):
        return _operation(op.template, name, dtype)
    config = inference_config(op.config, name, dtype, is_stock(op.kind))
    if op.template is not None:
        return private.cloned_lambda(op.template, config)
    try:
        with policy(dtype):
            return _in_inference_mode(op, op.kind.from_config(config))
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            f"{op.path}: a {op.kind.__name__} cannot be made again from its get_config(): {error_text(error)} "
            "Give the class a get_config() that returns every constructor argument."
        ) from error


def assign_weights(layer: Any, op: Op) -> None:
    """Set a built layer's weights from the op's, each cast once to the dtype of its variable.

    Raises:
        Refused: the new layer's weights are not those of the old one.
    """
    variables = layer.weights if op.weights else []
    expected = [(_comparable_name(weight.name), tuple(weight.value.shape)) for weight in op.weights]
    actual = [(_comparable_name(variable.name), tuple(variable.shape)) for variable in variables]
    if expected != actual:
        raise Refused(f"{op.path}: made again, the {op.kind.__name__} has weights {actual} instead of {expected}.")
    for variable, weight in zip(variables, op.weights, strict=True):
        variable.assign(weight.value.astype(variable.dtype))
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()


def _in_inference_mode(op: Op, layer: Any) -> Any:
    """The new layer, changed so that no learning phase reaches what is hidden in its ``call``."""
    if not is_stock(op.kind):
        private.mute_losses_and_metrics(layer)
    if op.unreadable is None:
        return _frozen(layer)
    build_like(layer, op.unreadable.layer)
    silence_training(layer, op)
    return layer


def _frozen(layer: Any) -> Any:
    """The layer; a BatchNormalization that overrides ``call`` may bake a phase there, so it is set not trainable."""
    norm = keras.layers.BatchNormalization
    if isinstance(layer, norm) and type(layer).call is not norm.call:
        layer.trainable = False
    return layer


def _comparable_name(name: str) -> str:
    """A weight's name without the running number that Keras gives to a weight without a name (``variable_12``)."""
    return "variable" if name.startswith("variable") else name


def _operation(template: Any, name: str, dtype: str) -> Any:
    target = getattr(template, "dtype", None)  # of a cast
    if isinstance(target, str) and "float" in target and target != dtype:
        return type(template).from_config({**template.get_config(), "dtype": dtype, "name": name})
    operation = private.detached(template)
    operation.name = name
    return operation
