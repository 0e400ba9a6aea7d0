"""Affine maps across sums and products: what one operand cannot absorb, another may.

Sums upwards: s·(a + b) + t = (s·a + t) + s·b = s·a + (s·b + t); downwards: (a + t) + b = a + (b + t), and
(s·a + t) + b = s·(a + b/s) + t. Products: s·(a·b) = (s·a)·b = a·(s·b).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from ..graph import Graph, Node, Ref, operations
from .arithmetic import Affine, scale_only
from .refusal import Refusal, RefusalReason

_L = keras.layers
InputMap = tuple[Ref, int, Affine]
MappedAxis = tuple[int, Affine]


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Way for a map to cross a node from above.

    ``input_maps`` are maps on the node's other inputs, to be absorbed above; ``onward`` is the map behind the node.
    """

    input_maps: tuple[InputMap, ...]
    onward: MappedAxis | None


def is_sum(node: Node) -> bool:
    """True if a node adds, subtracts or averages tensors."""
    if node.op.kind in (_L.Add, _L.Subtract, _L.Average):
        return True
    return operations.name_of(node.op) in ("Add", "Subtract") and len(node.inputs) == 2


def is_product(node: Node) -> bool:
    """True if a node multiplies tensors value by value."""
    return node.op.kind is _L.Multiply or (operations.name_of(node.op) == "Multiply" and len(node.inputs) == 2)


def sum_up(graph: Graph, node: Node, axis: int, affine: Affine) -> list[list[InputMap]] | Refusal:
    """The choices for a map behind a sum: all operands scaled and one of them shifted, or all of an average shifted."""
    misfit = next((at for at in range(len(node.inputs)) if not _has_channels(graph, node, at, axis)), None)
    if misfit is not None:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} broadcasts one of its inputs")
    shares = _coefficients(node)
    choices = [[(ref, axis, affine) for ref in node.inputs]] if node.op.kind is _L.Average else []
    for taker in range(len(node.inputs) if affine.has_shift else 1):
        taken = Affine(affine.scale, affine.shift / shares[taker])
        maps = [taken if at == taker else scale_only(affine) for at in range(len(node.inputs))]
        choices.append([(ref, axis, operand_map) for ref, operand_map in zip(node.inputs, maps, strict=True)])
    return choices


def sum_down(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> list[Crossing] | Refusal:
    """The crossings of a sum: a shift goes into another operand or on; a scale goes on, its inverse into the others."""
    spread = broadcast(graph, node, position, axis, affine)
    if isinstance(spread, Refusal):
        return spread
    shares = _coefficients(node)
    others = [at for at in range(len(node.inputs)) if at != position and _has_channels(graph, node, at, axis)]
    shift = shares[position] * spread.shift
    if not spread.has_scale:
        ones = np.ones_like(shift)
        takers = [Crossing(((node.inputs[at], axis, Affine(ones, shift / shares[at])),), None) for at in others]
        return [*takers, Crossing((), (axis, Affine(ones, shift)))]
    if len(others) != len(node.inputs) - 1:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} broadcasts one of its inputs")
    if not spread.is_moderate:
        return Refusal(RefusalReason.ZERO_SCALE, f"the other inputs of {node.op.path} cannot be divided by its scale")
    back = Affine(1 / spread.scale, np.zeros_like(shift))
    return [Crossing(tuple((node.inputs[at], axis, back) for at in others), (axis, Affine(spread.scale, shift)))]


def product_up(graph: Graph, node: Node, axis: int, affine: Affine) -> list[list[InputMap]] | Refusal:
    """The choices for a map behind a product: any single factor may be scaled; a shift cannot move into a factor."""
    if affine.has_shift:
        return Refusal(
            RefusalReason.POSITION,
            f"a shift cannot be moved before the product {node.op.path}",
            f"put it before {node.op.path}",
        )
    fit = [ref for at, ref in enumerate(node.inputs) if _has_channels(graph, node, at, axis)]
    return [[(ref, axis, affine)] for ref in fit]


def product_down(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> list[Crossing] | Refusal:
    """The crossing of a product, (s·a)·b = s·(a·b); a shift would be multiplied."""
    if affine.has_shift:
        return Refusal(
            RefusalReason.POSITION,
            f"{node.op.path} would multiply its shift by its other factors",
            f"put it behind {node.op.path}",
        )
    spread = broadcast(graph, node, position, axis, affine)
    return spread if isinstance(spread, Refusal) else [Crossing((), (axis, spread))]


def broadcast(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> Affine | Refusal:
    """The map on a node's output; an input of a single channel is broadcast to all channels of the output."""
    shape, out = graph.spec(node.inputs[position]).shape, node.outputs[0].shape
    if len(shape) != len(out) or shape[axis] is None or out[axis] is None:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} joins it with a tensor of another shape")
    if shape[axis] == out[axis]:
        return affine
    return Affine(*(np.full(int(out[axis] or 0), values[0]) for values in (affine.scale, affine.shift)))


def _has_channels(graph: Graph, node: Node, position: int, axis: int) -> bool:
    shape, out = graph.spec(node.inputs[position]).shape, node.outputs[0].shape
    return len(shape) == len(out) and shape[axis] is not None and shape[axis] == out[axis]


def _coefficients(node: Node) -> Sequence[float]:
    """The coefficient of each operand of a sum."""
    count = len(node.inputs)
    if node.op.kind is _L.Average:
        return [1 / count] * count
    return [1.0, -1.0] if node.op.kind.__name__ == "Subtract" else [1.0] * count
