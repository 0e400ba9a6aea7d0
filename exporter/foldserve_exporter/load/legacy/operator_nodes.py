"""Calls of TensorFlow functions in a configuration: their arguments as TensorFlow takes them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...errors import Refused

_LOST = (
    "lacks its argument {argument!r}: Keras 2 loses it when it saves, and cannot load the file either; load the weights"
    " into the model's own code, and replace {function} there"
)


def read_arguments(nodes: Any) -> Any:
    """The calls with what JSON has no words for: an ellipsis, tuples, and TensorFlow's dtypes."""
    if isinstance(nodes, Mapping):
        if nodes.get("class_name") == "__ellipsis__":
            return Ellipsis
        if nodes.get("class_name") in ("__tuple__", "TensorShape"):
            return tuple(read_arguments(item) for item in nodes.get("items", ()))
        return {key: read_arguments(value) for key, value in nodes.items()}
    if isinstance(nodes, list):
        return [read_arguments(item) for item in nodes]
    return _dtype(nodes) if isinstance(nodes, str) else nodes


def require_all_arguments(function: Callable[..., Any], name: str, nodes: Any) -> None:
    """Checks that the file holds every argument of each call: only the first one has no name there.

    Raises:
        Refused: One is missing; the message has no layer's name.
    """
    _, *others = inspect.signature(function).parameters.values()
    for kwargs in _keyword_arguments(nodes):
        for parameter in others:
            is_required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
            if is_required and parameter.name not in kwargs:
                raise Refused(f"tf.{name} and {_LOST.format(argument=parameter.name, function=f'tf.{name}')}")


def _keyword_arguments(nodes: Any) -> Iterator[Mapping[str, Any]]:
    """The keyword arguments of each call, which stand beside its first tensor."""
    for node in nodes if isinstance(nodes, list) else ():
        first = node
        while isinstance(first, list) and first and isinstance(first[0], list):
            first = first[0]
        if isinstance(first, list) and first:
            yield first[3] if len(first) > 3 and isinstance(first[3], Mapping) else {}


def _dtype(word: str) -> Any:
    """The dtype that a word names, as some functions take no word for it."""
    import tensorflow as tf

    return tf.as_dtype(word) if word in _DTYPES else word


_DTYPES = frozenset(
    (
        "bfloat16", "bool", "complex128", "complex64", "float16", "float32", "float64", "int16", "int32", "int64",
        "int8", "uint16", "uint32", "uint64", "uint8",
    )
)  # fmt: skip
