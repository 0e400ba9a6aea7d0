"""What no graph is made of: models that cannot answer each request by itself."""

from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private


def check(model: Any) -> None:
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
