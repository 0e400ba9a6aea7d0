"""Lookups: the layers and operations that read whole numbers as positions in a table, and the numbers that fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array

from ..graph import Graph, Node, Ref, operations

_L = keras.layers
_SIZES: Mapping[str, str] = {
    "Embedding": "input_dim",
    "CategoryEncoding": "num_tokens",
    "Hashing": "num_bins",
    "HashedCrossing": "num_bins",
}
"""The setting that holds the number of values, by layer."""
_CLASSES: Mapping[str, str] = {
    "OneHot": "num_classes",
    "MultiHot": "num_classes",
    "SegmentSum": "num_segments",
    "SegmentMax": "num_segments",
}
"""The same by operation."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Lookup of whole numbers: those from 0 below `size`, or those of a `vocabulary`.

    Attributes:
        refs: The tensors whose values are looked up.
        size: The number of values.
        vocabulary: The values, where they are not 0 to `size`; all distinct.
    """

    refs: tuple[Ref, ...]
    size: int
    vocabulary: Array | None = None


def lookup_of(node: Node, graph: Graph) -> Lookup | None:
    """The lookup that a node makes; None for all other nodes."""
    name = operations.name_of(node.op)
    if name in ("Take", "TakeAlongAxis"):
        return _take(node, graph)
    if name is not None and name in _CLASSES:
        size = getattr(node.op.template, _CLASSES[name], None)
        return None if size is None else Lookup(node.inputs[-1:], int(size))
    return None if name is not None else _layer(node)


def _layer(node: Node) -> Lookup | None:
    kind, config = node.op.kind, node.op.config
    if issubclass(kind, _L.TimeDistributed):
        kind, config = _wrapped(config)
    if issubclass(kind, _L.IntegerLookup):
        vocabulary = _vocabulary(config)
        return None if vocabulary is None else Lookup(node.inputs[:1], len(vocabulary), vocabulary)
    for base in kind.__mro__:
        size = config.get(_SIZES.get(base.__name__, "")) if base.__module__.startswith("keras.") else None
        if size is not None:
            return Lookup(node.inputs, int(size))
    return None


def _wrapped(config: Mapping[str, Any]) -> tuple[type[Any], Mapping[str, Any]]:
    """Class and configuration of the layer in a wrapper; a class of one's own counts as any layer."""
    inner = config.get("layer") or {}
    kind = getattr(_L, str(inner.get("class_name")), _L.Layer)
    return kind, inner.get("config") or {}


def _vocabulary(config: Mapping[str, Any]) -> Array | None:
    """The numbers that an IntegerLookup has in its vocabulary, and one that it has not where it has a place for it."""
    values = config.get("vocabulary")
    if values is None or isinstance(values, str) or not len(values):
        return None
    listed = np.unique(np.asarray(values, np.int64))
    return np.append(listed, listed.max() + 1) if config.get("num_oov_indices") else listed


def _take(node: Node, graph: Graph) -> Lookup | None:
    """The lookup in a table: in a constant, a weight, or a tensor of known size."""
    table, indices = _argument(node, 0, "x"), _argument(node, 1, "indices")
    if not isinstance(indices, Ref):
        return None
    shape = graph.spec(table).shape if isinstance(table, Ref) else np.shape(table)
    axis = node.op.template.axis
    sizes = shape if axis is None else shape[axis : axis + 1 or None]
    return None if None in sizes else Lookup((indices,), math.prod(size or 0 for size in sizes))


def _argument(node: Node, position: int, name: str) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name)
