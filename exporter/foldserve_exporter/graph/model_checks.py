"""Checks of a model before and after tracing: it must answer each request independently of all others."""

from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from .ir import TensorInfo


def check_model(model: Any) -> None:
    """Check a model's layers and the Keras backend.

    Raises:
        Refused: Keras runs on another backend than TensorFlow, or a layer keeps state between calls or is quantised.
    """
    if keras.backend.backend() != "tensorflow":
        raise Refused(f"Keras runs on {keras.backend.backend()}. Set KERAS_BACKEND=tensorflow before importing keras.")
    for layer in [model, *private.sublayers(model)]:
        if getattr(layer, "stateful", False) and isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            raise Refused(
                f"{layer.name}: a stateful recurrent layer answers by the requests before. Set stateful=False."
            )
        if getattr(layer, "quantization_mode", None) is not None:
            raise Refused(
                f"{layer.name}: the layer is quantised ({layer.quantization_mode}). Export the model from before."
            )


def check_output(name: str, spec: TensorInfo) -> None:
    """Check that an output has one row for each row of the input.

    Raises:
        Refused: the first dimension of the output is not the batch.
    """
    if not is_servable(spec):
        raise Refused(
            f"{name}: the output has shape {spec.shape}, whose first dimension is not the batch, so requests cannot be "
            "batched. Keep one row for each sample, or cut the model before it."
        )


def is_servable(spec: TensorInfo) -> bool:
    """True if a tensor has one row for each row of the input."""
    return bool(spec.shape) and spec.shape[0] in (None, 1)
