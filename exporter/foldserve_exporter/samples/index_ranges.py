"""Whole numbers that a model's inputs may hold: each element of an input is followed to the tables it is looked up in.

A row of element numbers goes through the layers that only move values (reshapes, slices, concatenations, …); where it
ends in a lookup, the number of each element says whose range that is. A constant that is added on the way moves the
range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array

from ..graph import Graph, Node, Ref, operations
from ..graph.instantiate import instantiate, is_stock
from ..graph.ir import INPUT, map_refs
from .lookups import Lookup, lookup_of

_MOVING = frozenset(
    {
        "BroadcastTo", "Concatenate", "Copy", "Cropping1D", "ExpandDims", "Flatten", "Flip", "GetItem", "Hstack",
        "Identity", "Moveaxis", "Permute", "Ravel", "Repeat", "RepeatVector", "Reshape", "Roll", "Slice", "Split",
        "Squeeze", "Stack", "StopGradient", "Swapaxes", "Take", "Tile", "Transpose", "Unstack", "Vstack",
        "ZeroPadding1D",
    }
)  # fmt: skip
_KEEPING = frozenset({"Abs", "Cast", "Clip", "Maximum", "Minimum", "Mod", "Relu", "Round", "Floor"})
_UNBOUNDED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class IndexRange:
    """Whole numbers that an input is looked up by; all arrays have the shape of a row.

    Attributes:
        lowest: The lowest number.
        stop: The number above the highest; `_UNBOUNDED` where an element is not looked up.
        vocabulary: Position in `vocabularies`, -1 where there is none.
        vocabularies: Numbers that are looked up by value.
    """

    lowest: Array
    stop: Array
    vocabulary: Array
    vocabularies: list[Array]

    @property
    def is_index(self) -> Array:
        """Mask of the elements that are looked up."""
        looked_up: Array = (self.stop < _UNBOUNDED) | (self.vocabulary >= 0)
        return looked_up

    def draw(self, generator: np.random.Generator, rows: int) -> Array:
        """Draws numbers for every element; 0 and 1 where it is not looked up."""
        stop = np.where(self.stop < _UNBOUNDED, np.maximum(self.stop, self.lowest + 1), self.lowest + 2)
        drawn: Array = generator.integers(self.lowest, stop, (rows, *stop.shape))
        for number, vocabulary in enumerate(self.vocabularies):
            drawn = np.where(self.vocabulary == number, generator.choice(vocabulary, drawn.shape), drawn)
        return drawn


def index_ranges(graph: Graph, row_shapes: tuple[tuple[int, ...], ...]) -> tuple[IndexRange, ...]:
    """The numbers that each input may hold.

    Args:
        graph: The model.
        row_shapes: The shape of a row of each input; nothing is open.
    """
    walk = _Walk(graph, row_shapes)
    for node in graph.nodes:
        if any(ref in walk.elements for ref in node.inputs):
            walk.pass_through(node)
    return tuple(walk.ranges)


class _Walk:
    """State of one walk.

    Attributes:
        elements: By tensor, the number of the element that each of its values is; 0 for constants.
        offsets: By tensor, what was added to it.
        ranges: By input.
    """

    def __init__(self, graph: Graph, row_shapes: tuple[tuple[int, ...], ...]) -> None:
        self.graph = graph
        self.elements: dict[Ref, Array] = {}
        self.offsets: dict[Ref, Array] = {}
        self.ranges = [_unbounded(shape) for shape in row_shapes]
        self._first = np.cumsum([1, *(int(np.prod(shape)) for shape in row_shapes)])
        for position, shape in enumerate(row_shapes):
            numbers = np.arange(self._first[position], self._first[position + 1]).reshape(1, *shape)
            self.elements[Ref(INPUT, position)] = numbers
            self.offsets[Ref(INPUT, position)] = np.zeros_like(numbers)

    def pass_through(self, node: Node) -> None:
        """Takes the ranges from a lookup, and the elements to the results of a node that moves them."""
        lookup = lookup_of(node, self.graph)
        name = operations.name_of(node.op) or (node.op.kind.__name__ if is_stock(node.op.kind) else "")
        if lookup is not None:
            self._bound(lookup)
        elif name in _MOVING and all(ref in self.elements for ref in node.inputs):
            self._move(node)
        elif name in _KEEPING and len(node.inputs) == 1:
            self._keep(node, 0)
        elif name in ("Add", "Subtract") and len(node.inputs) == 1:
            self._add(node, name)

    def _bound(self, lookup: Lookup) -> None:
        for ref in lookup.refs:
            if ref in self.elements:
                numbers = self.elements[ref]
                real = numbers > 0
                self._take_range(numbers[real], self.offsets[ref][real], lookup)

    def _take_range(self, numbers: Array, offsets: Array, lookup: Lookup) -> None:
        for position, limits in enumerate(self.ranges):
            mine = (numbers >= self._first[position]) & (numbers < self._first[position + 1])
            if not mine.any():
                continue
            at = np.unravel_index(numbers[mine] - self._first[position], limits.stop.shape)
            if lookup.vocabulary is None:
                np.minimum.at(limits.stop, at, lookup.size - offsets[mine])
                np.maximum.at(limits.lowest, at, -offsets[mine])
            else:
                limits.vocabularies.append(lookup.vocabulary)
                limits.vocabulary[at] = len(limits.vocabularies) - 1

    def _move(self, node: Node) -> None:
        """The node itself moves the numbers of the elements, and in the same way what was added to them."""
        try:
            moved = [_run(node, tensors) for tensors in (self.elements, self.offsets)]
        except Exception:  # a setting with which Keras cannot move whole numbers: here the way ends
            return
        for output, (numbers, offsets) in enumerate(zip(*moved, strict=True)):
            self.elements[Ref(node.key, output)] = numbers
            self.offsets[Ref(node.key, output)] = offsets

    def _keep(self, node: Node, added: Any) -> None:
        source = node.inputs[0]
        self.elements[node.ref], offsets = np.broadcast_arrays(self.elements[source], self.offsets[source] + added)
        self.offsets[node.ref] = offsets

    def _add(self, node: Node, name: str) -> None:
        first, second = (*node.args, *node.kwargs.values())[:2]
        constant = np.asarray(second if isinstance(first, Ref) else first)
        if constant.dtype.kind in "iuf" and (name == "Add" or isinstance(first, Ref)):
            self._keep(node, (constant if name == "Add" else -constant).astype(np.int64))


def _unbounded(shape: tuple[int, ...]) -> IndexRange:
    return IndexRange(np.zeros(shape, np.int64), np.full(shape, _UNBOUNDED, np.int64), np.full(shape, -1, np.int64), [])


def _run(node: Node, tensors: Mapping[Ref, Array]) -> list[Array]:
    """The results of a node that only moves values, on whole numbers."""
    call = instantiate(node.op, node.op.name, "float32")
    args, kwargs = map_refs((node.args, dict(node.kwargs)), lambda ref: keras.ops.convert_to_tensor(tensors[ref]))
    return [np.asarray(result) for result in keras.tree.flatten(call(*args, **kwargs))]
