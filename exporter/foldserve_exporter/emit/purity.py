"""Purity check: a served function depends on its inputs alone, draws no random numbers and keeps no state."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import Refused
from ..graph.random_ops import RANDOM_IN_INFERENCE, RANDOM_OP

_WRITE_OPS = re.compile(r"Assign(Add|Sub)?(VariableOp)?$|^Resource(Scatter|Apply)|^Scatter(Add|Update)$")
_TABLE_OPS = re.compile(r"^(LookupTable|HashTable|MutableHashTable)")
_HAS_TABLE = "it looks values up in a table, which no ONNX file can hold. Map them to numbers before the model."
_HAS_STATE = (
    "it changes a variable each time it is called, so that no answer could be given twice. Let it change nothing "
    "outside of training."
)


def require_pure(function: Any) -> None:
    """Check the traced graph of a function of one signature, and all functions that it calls.

    Raises:
        Refused: it draws random numbers, changes a variable or looks into a table; the message names the layer.
    """
    operations = tuple(_operations(function.get_concrete_function().graph))
    _refuse(operations, _TABLE_OPS, _HAS_TABLE)
    _refuse(operations, RANDOM_OP, RANDOM_IN_INFERENCE)  # before writes: a random operation updates its seed, too
    _refuse(operations, _WRITE_OPS, _HAS_STATE)


def _refuse(operations: Iterable[tuple[str, str]], kinds: re.Pattern[str], message: str) -> None:
    for name, kind in operations:
        if kinds.search(kind):
            raise Refused(f"{_layer_path(name)}: {message}")


def _operations(graph: Any) -> Iterator[tuple[str, str]]:
    """Name and type of every operation of a graph and of the functions in its library."""
    definition = graph.as_graph_def()
    for node in definition.node:
        yield node.name, node.op
    for function in definition.library.function:
        for node in function.node_def:
            yield f"{function.signature.name}/{node.name}", node.op


def _layer_path(name: str) -> str:
    """The path of the layer that made an operation; TensorFlow's name has the model's before it and its own behind."""
    path = re.sub(r"^__inference_|_\d+/|(?<=/)PartitionedCall/", "/", name)
    parts = [part for part in path.split("/") if part]
    return "/".join(parts[1:-1]) or parts[0]
