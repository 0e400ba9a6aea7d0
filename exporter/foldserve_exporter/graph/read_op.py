"""Reading of a Keras layer or operation into an op."""

from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from .instantiate import is_stock
from .ir import Op
from .layer_config import with_custom_functions
from .lora import read_weights, without_adapter


def read_op(operation: Any, path: str) -> Op:
    """The op for a Keras layer or operation: class, configuration and weights, or a template.

    Raises:
        Refused: the layer's class has no ``get_config`` that works.
    """
    kind = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        return Op(path, kind, template=private.detached(operation))
    weights = read_weights(operation)
    if isinstance(operation, keras.layers.Lambda):
        return Op(path, kind, {"dtype": "float32"}, weights, template=operation)
    try:
        config = without_adapter(private.config_of(operation))
        return Op(path, kind, with_custom_functions(operation, config) if is_stock(kind) else config, weights)
    except Exception as error:  # Keras 3.11 stumbles over its own message
        raise Refused(
            f"{path}: {kind.__name__} has no get_config(). Give the class one that returns its constructor arguments."
        ) from error
