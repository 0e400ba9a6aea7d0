"""What no graph is made of: models that cannot answer each request by itself."""

from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from .ir import TensorInfo


def check_model(model: Any) -> None:
    """Refuse a model by the layers in it.

    Raises:
        Refused: a layer keeps state between calls, or holds quantised weights.
    """
    if keras.backend.backend() != "tensorflow":
        raise Refused(f"Keras runs on {keras.backend.backend()}. Set KERAS_BACKEND=tensorflow before importing keras.")
    for layer in [model, *private.sublayers(model)]:
        if getattr(layer, "stateful", False) and isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            raise Refused(
                f"{layer.name}: a stateful recurrent layer answers by what it was asked before. Set stateful=False."
            )
        if getattr(layer, "quantization_mode", None) is not None:
            raise Refused(
                f"{layer.name}: the layer is quantised ({layer.quantization_mode}). Export the model from before."
            )


def check_output(name: str, spec: TensorInfo) -> None:
    """Refuse an output that has no row for each row of the input.

    Raises:
        Refused: the first dimension of the output is not the batch.
    """
    if not spec.shape or spec.shape[0] not in (None, 1):
        raise Refused(
            f"{name}: the output has shape {spec.shape}, whose first dimension is not the batch, so requests cannot be "
            "batched. Keep one row for each sample, or cut the model before it."
        )
