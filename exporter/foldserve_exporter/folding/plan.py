"""Decide where one affine map of a graph goes; nothing is changed here."""

from dataclasses import dataclass
from enum import StrEnum

from ..graph import Graph, Node, Op
from .affine_op import affine_of, affine_op, axis_of
from .arithmetic import Affine, scale_only, split_shift
from .reach import Absorb, Reached, downstream, upstream
from .refusal import Refusal


class Action(StrEnum):
    """What became of a BatchNormalization call. Whatever leaves a map in the graph has "affine" in its name."""

    IDENTITY = "identity"
    BACKWARD = "backward"
    FORWARD = "forward"
    BACKWARD_SCALE = "backward_scale_left_affine_shift"
    FORWARD_SCALE = "forward_scale_left_affine_shift"
    MERGED = "merged_into_affine"
    AFFINE = "left_affine"


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """What became of one call of one BatchNormalization, and why.

    Attributes:
        bn: path of the layer, such as "backbone/bn_1".
        call: which call of that layer, from 0.
        action: where its map went.
        reason: words for the user: what it was folded into, or what stood in the way.
        host: path of the layer that took it up, or None.
    """

    bn: str
    call: int
    action: Action
    reason: str
    host: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What to do with one affine node: the nodes that take it up, and the op that stays in its place, if any."""

    action: Action
    reason: str
    absorbed: tuple[Absorb, ...] = ()
    left: Op | None = None


def decide(graph: Graph, node: Node) -> Decision:
    """Backward if possible, then forward, then the scale alone; otherwise the map stays, with both reasons."""
    affine, axis = affine_of(node.op), axis_of(node.op)
    source = node.inputs[0]
    if not graph.spec(source).is_float:
        return Decision(Action.AFFINE, f"it turns {graph.spec(source).dtype} into floating point", left=node.op)
    if not affine.has_scale and not affine.has_shift:
        return Decision(Action.IDENTITY, "it changes nothing")
    above = upstream(graph, source, axis, affine)
    if not isinstance(above, Refusal):
        return Decision(Action.BACKWARD, "its scale and shift are in the weights before it", above)
    below = downstream(graph, node.ref, axis, affine)
    if not isinstance(below, Refusal):
        return Decision(Action.FORWARD, "its scale and shift are in the weights behind it", below)
    return _part(graph, node, affine, above, below) or Decision(
        Action.AFFINE, f"before it: {above.words}; behind it: {below.words}", left=node.op
    )


def _part(graph: Graph, node: Node, affine: Affine, above: Refusal, below: Refusal) -> Decision | None:
    """Move the scale where it can go alone, and keep the shift."""
    if not affine.has_scale or not affine.has_shift:
        return None
    axis, scale = axis_of(node.op), scale_only(affine)
    up: Reached = upstream(graph, node.inputs[0], axis, scale)
    if not isinstance(up, Refusal):
        left = affine_op(node.op.path, Affine(affine.scale / affine.scale, affine.shift), axis)
        return Decision(Action.BACKWARD_SCALE, f"only its scale is folded: {above.words}", up, left)
    before = split_shift(affine)
    down: Reached = below if before is None else downstream(graph, node.ref, axis, scale)
    if before is None or isinstance(down, Refusal):
        return None
    return Decision(
        Action.FORWARD_SCALE, f"only its scale is folded: {below.words}", down, affine_op(node.op.path, before, axis)
    )
