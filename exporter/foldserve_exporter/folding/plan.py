"""Decide where one affine map of a graph goes; nothing is changed here."""

from dataclasses import dataclass
from enum import StrEnum

from ..graph import Graph, Node, Op
from .affine_op import affine_of, axis_of, is_affine, with_affine, with_mapped_input
from .arithmetic import Affine, scale_only, shift_only, split_shift
from .propagation import Absorption, Absorptions, Compensated, compensated, downstream, upstream
from .refusal import Refusal, with_remedies
from .surgery import with_ops, without_node

_AROUND = "the layers before it take it up, and those that read them beside it take it back"


class Action(StrEnum):
    """What became of a BatchNormalization call. Whatever leaves a map in the graph has "affine" in its name."""

    IDENTITY = "identity"
    BACKWARD = "backward"
    FORWARD = "forward"
    BACKWARD_SCALE = "backward_scale_left_affine_shift"
    FORWARD_SCALE = "forward_scale_left_affine_shift"
    BACKWARD_SHIFT = "backward_shift_left_affine_scale"
    FORWARD_SHIFT = "forward_shift_left_affine_scale"
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
    """What to do with one affine node: the nodes that take it up, and the op that stays in its place, if any.

    ``hosts`` are the keys of those that take it up, where others among ``absorbed`` take it back.
    """

    action: Action
    reason: str
    absorbed: tuple[Absorption, ...] = ()
    left: Op | None = None
    hosts: frozenset[int] | None = None

    @property
    def takers(self) -> tuple[Absorption, ...]:
        """Those that take the map up, without those that take it back."""
        return tuple(a for a in self.absorbed if self.hosts is None or a.node in self.hosts)


def decide(graph: Graph, node: Node) -> Decision:
    """Backward if possible, then forward, then one half; else the map stays, with both reasons."""
    affine, axis = affine_of(node.op), axis_of(node.op)
    source = node.inputs[0]
    if affine.is_identity:
        return Decision(Action.IDENTITY, "it changes nothing")
    above = upstream(graph, source, axis, affine)
    if not isinstance(above, Refusal):
        return Decision(Action.BACKWARD, "its scale and shift are in the weights before it", above)
    below = downstream(graph, node.ref, axis, affine)
    if not isinstance(below, Refusal):
        return Decision(Action.FORWARD, "its scale and shift are in the weights behind it", below)
    around = compensated(graph, node, affine)
    if isinstance(around, Compensated):
        return Decision(Action.BACKWARD, _AROUND, around.absorbed, hosts=around.hosts)
    reason = with_remedies(f"before it: {above.message}; behind it: {below.message}", above, below)
    return _partial(graph, node, above, below) or Decision(Action.AFFINE, reason, left=node.op)


def applied(graph: Graph, node: Node, decision: Decision) -> Graph:
    """The graph in which ``decision`` about the affine node ``node`` has been carried out."""
    if decision.left is node.op and not decision.absorbed:
        return graph
    ops: dict[int, Op] = {absorption.node: absorption.op for absorption in decision.absorbed}
    if decision.left is not None:
        ops[node.key] = decision.left
    changed = with_ops(graph, ops)
    return changed if decision.left is not None else without_node(changed, node)


def _partial(graph: Graph, node: Node, above: Refusal, below: Refusal) -> Decision | None:
    """Move the scale where it can go alone and keep the shift, or the other way round."""
    affine = affine_of(node.op)
    if not affine.has_scale or not affine.has_shift:
        return None
    scale, shift, before = scale_only(affine), shift_only(affine), split_shift(affine)
    both = f"before it: {above.message}; behind it: {below.message}"
    only_scale, only_shift = (
        with_remedies(f"only its {half} is folded; {both}", above, below) for half in ("scale", "shift")
    )
    moves = [
        _Move(Action.BACKWARD_SCALE, scale, shift, only_scale),
        _Move(Action.FORWARD_SCALE, scale, before, only_scale),
        _Move(Action.FORWARD_SHIFT, shift, scale, only_shift),
        _Move(Action.BACKWARD_SHIFT, before, scale, only_shift),
    ]
    decisions = (_decide_move(graph, node, move) for move in moves)
    return next((decision for decision in decisions if decision is not None), None)


@dataclass(frozen=True, slots=True, eq=False)
class _Move:
    """Half of a map that is moved, and the half that is left; None where there is no such half."""

    action: Action
    moved: Affine | None
    left: Affine | None
    reason: str

    @property
    def is_up(self) -> bool:
        return self.action in (Action.BACKWARD_SCALE, Action.BACKWARD_SHIFT)


def _decide_move(graph: Graph, node: Node, move: _Move) -> Decision | None:
    moved, axis = move.moved, axis_of(node.op)
    if moved is None or move.left is None:
        return None
    reached: Absorptions | Compensated = (
        upstream(graph, node.inputs[0], axis, moved) if move.is_up else downstream(graph, node.ref, axis, moved)
    )
    if move.is_up and isinstance(reached, Refusal):
        reached = compensated(graph, node, moved)
    if isinstance(reached, Refusal):
        return None
    absorbed, hosts = (reached.absorbed, reached.hosts) if isinstance(reached, Compensated) else (reached, None)
    if not _is_progress(graph, absorbed, moved):
        return None
    stays = with_affine(node.op, move.left)
    return Decision(move.action, move.reason, absorbed, with_mapped_input(stays, moved) if move.is_up else stays, hosts)


def _is_progress(graph: Graph, absorbed: tuple[Absorption, ...], moved: Affine) -> bool:
    """Half a map that another affine would only gain goes back and forth for ever."""
    affines = [affine_of(graph.node(absorb.node).op) for absorb in absorbed if is_affine(graph.node(absorb.node))]
    return all(affine.has_scale if moved.has_scale else affine.has_shift for affine in affines)
