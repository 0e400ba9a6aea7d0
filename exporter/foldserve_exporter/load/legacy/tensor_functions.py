"""Functions of TensorFlow on a model's tensors, called as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...errors import Refused
from ...graph import TensorFlowFunction, call_arguments

Specs = Sequence[tuple[tuple[int | None, ...] | None, str]]


def call_function(name: str, args: Any, kwargs: Mapping[str, Any], specs: Specs | None, layer: str, place: str) -> Any:
    """The results of `tf.NAME` in Keras 3.

    Args:
        name: The function's name below `tf`.
        args: Its positional arguments, with the tensors of Keras 3.
        kwargs: Its keyword arguments.
        specs: Shapes and dtypes of its results as tf-keras knows them; None where they hold for a single batch size.
        layer: The name of the new layer.
        place: The file and the layer in it, for messages.

    Raises:
        Refused: It is not pure, or has arguments or results that are neither tensors nor numbers.
    """
    tensors: list[Any] = []
    arguments = {key: value for key, value in kwargs.items() if key != "name"}
    try:
        encoded = call_arguments.encode((tuple(args), arguments), lambda value: _number(value, tensors))
    except Refused as refused:
        raise Refused(f"{place} gives tf.{name} {refused}") from refused
    shapes = None if specs is None else [None if shape is None else list(shape) for shape, _ in specs]
    function = TensorFlowFunction(name, encoded, shapes, name=layer, dtype="float32")
    try:
        function.traced([(tensor.shape, tensor.dtype) for tensor in tensors])
    except Refused as refused:
        raise Refused(f"{place}: {refused}") from refused
    return function(tensors)


def is_as_certain(result: Any, specs: Specs) -> bool:
    """True if the results have the dtypes (floats of any width are one) and every size that tf-keras knows."""
    tensors = keras.tree.flatten(result)
    return len(tensors) == len(specs) and all(
        _same_kind(str(tensor.dtype), dtype) and _covers(tuple(tensor.shape), shape)
        for tensor, (shape, dtype) in zip(tensors, specs, strict=True)
    )


def _same_kind(ours: str, theirs: str) -> bool:
    return ours == theirs or ("float" in ours and "float" in theirs)


def _covers(ours: tuple[int | None, ...], theirs: tuple[int | None, ...] | None) -> bool:
    if theirs is None:
        return True
    return len(ours) == len(theirs) and all(b is None or a == b for a, b in zip(ours, theirs, strict=True))


def _number(value: Any, tensors: list[Any]) -> int | None:
    """The number of a symbolic tensor among those of the call, to which it is appended."""
    if not isinstance(value, keras.KerasTensor):
        return None
    tensors.append(value)
    return len(tensors) - 1
