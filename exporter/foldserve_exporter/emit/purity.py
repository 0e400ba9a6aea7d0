"""What is served answers from its inputs alone: it draws nothing at random and keeps nothing."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import Refused
from ..graph.random_ops import RANDOM_IN_INFERENCE, RANDOM_OP

_WRITES = re.compile(r"Assign(Add|Sub)?(VariableOp)?$|^Resource(Scatter|Apply)|^Scatter(Add|Update)$")
_TABLES = re.compile(r"^(LookupTable|HashTable|MutableHashTable)")
_LOOKS_UP = "it looks values up in a table, which no ONNX file can hold. Map them to numbers before the model."
_MOVES = (
    "it changes a variable each time it is called, so that no answer could be given twice. Let it change nothing "
    "outside of training."
)


def require_pure(function: Any) -> None:
    """Look through a function of one signature, as it is traced, and all that it calls.

    Raises:
        Refused: it draws random numbers, changes a variable or looks into a table; the message names the layer.
    """
    operations = tuple(_operations(function.get_concrete_function().graph))
    _refuse(operations, _TABLES, _LOOKS_UP)
    _refuse(operations, RANDOM_OP, RANDOM_IN_INFERENCE)  # first: who draws keeps a seed, too
    _refuse(operations, _WRITES, _MOVES)


def _refuse(operations: Iterable[tuple[str, str]], kinds: re.Pattern[str], words: str) -> None:
    for name, kind in operations:
        if kinds.search(kind):
            raise Refused(f"{_layer_path(name)}: {words}")


def _operations(graph: Any) -> Iterator[tuple[str, str]]:
    """Name and kind of every operation, those of the functions that a graph holds too."""
    definition = graph.as_graph_def()
    for node in definition.node:
        yield node.name, node.op
    for function in definition.library.function:
        for node in function.node_def:
            yield f"{function.signature.name}/{node.name}", node.op


def _layer_path(name: str) -> str:
    """The path of the layer behind an operation: TensorFlow puts the model's name before and its own behind."""
    path = re.sub(r"^__inference_|_\d+/|(?<=/)PartitionedCall/", "/", name)
    parts = [part for part in path.split("/") if part]
    return "/".join(parts[1:-1]) or parts[0]
