"""Arguments of a call as JSON: tensors by their numbers, and constants with what they are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import Refused

Encoded = list[Any]
"""A pair of a kind and what it holds, at any depth: `["tensor", 0]`, `["list", [["value", 3], …]]`."""


def encode(value: Any, number_of: Callable[[Any], int | None]) -> Encoded:
    """The JSON form of arguments.

    Args:
        value: Arguments, in any structure of lists, tuples, dicts and slices.
        number_of: The number of a tensor among those of the call; None for all else.

    Raises:
        Refused: An argument is neither a tensor nor a constant; the message names its type alone.
    """
    number = number_of(value)
    if number is not None:
        return ["tensor", number]
    if isinstance(value, Mapping):
        return ["dict", [[key, encode(item, number_of)] for key, item in value.items()]]
    if isinstance(value, list | tuple):
        if _is_of_floats(value):
            return ["array", ["float32", _plain(value)]]
        return [("list" if isinstance(value, list) else "tuple"), [encode(item, number_of) for item in value]]
    if isinstance(value, slice):
        return ["slice", [encode(part, number_of) for part in (value.start, value.stop, value.step)]]
    if value is Ellipsis:
        return ["ellipsis", None]
    return _constant(value)


def _constant(value: Any) -> Encoded:
    import tensorflow as tf

    if isinstance(value, tf.DType):
        return ["dtype", value.name]
    if value is None or isinstance(value, bool | int | float | str):
        return ["value", value]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return ["array", [str(value.dtype), value.tolist()]]
    raise Refused(f"an argument of the type {type(value).__name__}, which is neither a tensor nor a number")


def decode(encoded: Encoded, tensors: Sequence[Any], dtype: str) -> Any:
    """The arguments, with ``tensors`` in their places; floats of any width become ``dtype``."""
    kind, held = encoded
    if kind == "tensor":
        return tensors[held]
    if kind == "dict":
        return {key: decode(item, tensors, dtype) for key, item in held}
    if kind in ("list", "tuple", "slice"):
        items = [decode(item, tensors, dtype) for item in held]
        return slice(*items) if kind == "slice" else items if kind == "list" else tuple(items)
    if kind == "ellipsis":
        return Ellipsis
    if kind == "dtype":
        return _as_float(held, dtype)
    if kind == "array":
        own, values = held
        return np.asarray(values, dtype if "float" in own else own)
    return held


def _is_of_floats(value: Any) -> bool:
    """True for nested lists of numbers with a float among them: TensorFlow would make float32 of them.

    A list that is not nested may be an attribute, which TensorFlow takes as a list alone.
    """
    if not all(isinstance(row, list | tuple) for row in value):
        return False
    array = np.asarray(value) if _is_rectangular(value) else None
    return array is not None and array.dtype.kind == "f"


def _is_rectangular(value: Any) -> bool:
    """True for numbers in nested lists of the same lengths."""
    if isinstance(value, list | tuple):
        lengths = {len(row) if isinstance(row, list | tuple) else -1 for row in value}
        return len(lengths) == 1 and all(map(_is_rectangular, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _as_float(word: str, dtype: str) -> Any:
    """The dtype of that name; for floats of any width it is ``dtype``, for complex numbers one as wide."""
    import tensorflow as tf

    named = tf.as_dtype(word)
    if named.is_complex:
        return tf.complex128 if dtype == "float64" else tf.complex64
    return tf.as_dtype(dtype) if named.is_floating else named
