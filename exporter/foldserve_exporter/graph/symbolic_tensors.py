"""Keras' symbolic tensors and call arguments, in the terms of a graph."""

from collections.abc import Mapping
from typing import Any

import keras

from ..error_text import error_text
from ..errors import Refused
from .ir import TensorInfo, as_array


def output_specs(model: Any, tensors: Any) -> Any:
    """The symbolic outputs of a model that is called on symbolic tensors.

    Raises:
        Refused: A layer does not declare the shape that it makes.
    """
    try:
        return model.compute_output_spec(tensors)
    except Exception as error:
        raise Refused(
            f"{model.name}: the shapes of its outputs cannot be inferred: {error_text(error)} "
            "Give that layer the output_shape, or call the model's layers on a keras.Input, and save it again."
        ) from error


def without_phase(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments without the learning phase."""
    return {key: value for key, value in kwargs.items() if key != "training"}


def constant_of(leaf: Any) -> Any:
    """The value of a tensor or variable that a call captured, as an array; anything else as it is."""
    return as_array(leaf) if keras.ops.is_tensor(leaf) or isinstance(leaf, keras.Variable) else leaf


def tensor_info(tensor: Any, batch: int | None = None) -> TensorInfo:
    """Name, shape and dtype of a symbolic tensor; a first size equal to ``batch`` is dynamic."""
    shape = tuple(tensor.shape)
    if shape and batch is not None and shape[0] == batch:
        shape = (None, *shape[1:])
    return TensorInfo(tensor.name, shape, str(tensor.dtype))
