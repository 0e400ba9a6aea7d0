"""Decisions of the fold: where one affine map of a graph goes, and the graph in which a decision is applied."""

from dataclasses import dataclass
from enum import StrEnum

from ..graph import Graph, Node, Op
from .affine_op import affine_of, axis_of, is_affine, with_affine, with_mapped_input
from .arithmetic import Affine, scale_only, shift_only, split_shift
from .propagation import Absorption, Compensated, Outcome, compensated, downstream, upstream
from .refusal import Refusal, with_remedies
from .surgery import with_ops, without_node

_COMPENSATED = "the layers before it absorb it, and the other readers of these layers absorb its inverse"


class Action(StrEnum):
    """The result for a BatchNormalization call. Each action that leaves a map in the graph has "affine" in its name."""

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
    """The result for one call of one BatchNormalization, and the reason.

    Attributes:
        bn: path of the layer, such as "backbone/bn_1".
        call: which call of that layer, from 0.
        action: where its map went.
        reason: words for the user: the layers it was folded into, or the obstacle.
        host: path of the layer that absorbed it, or None.
    """

    bn: str
    call: int
    action: Action
    reason: str
    host: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A decision on one affine node: the nodes that absorb its map, and the op that stays in its place, if any.

    ``hosts`` are the keys of the nodes that absorb the map, where others among ``absorbed`` absorb its inverse.
    """

    action: Action
    reason: str
    absorbed: tuple[Absorption, ...] = ()
    left: Op | None = None
    hosts: frozenset[int] | None = None

    @property
    def host_absorptions(self) -> tuple[Absorption, ...]:
        """The absorptions of the map, without those of its inverse."""
        return tuple(a for a in self.absorbed if self.hosts is None or a.node in self.hosts)


def decide(graph: Graph, node: Node) -> Decision:
    """Decide on an affine node: backward if possible, then forward, then one half; else it stays, with both reasons."""
    affine, axis = affine_of(node.op), axis_of(node.op)
    source = node.inputs[0]
    # the whole map, without a change to any other reader
    if affine.is_identity:
        return Decision(Action.IDENTITY, "it changes nothing")
    above = upstream(graph, source, axis, affine)
    if not isinstance(above, Refusal):
        return Decision(Action.BACKWARD, "its scale and shift are in the weights before it", above)
    below = downstream(graph, node.ref, axis, affine)
    if not isinstance(below, Refusal):
        return Decision(Action.FORWARD, "its scale and shift are in the weights behind it", below)
    # the whole map, compensated at the other readers
    by_inverse = compensated(graph, node, affine)
    if isinstance(by_inverse, Compensated):
        return Decision(Action.BACKWARD, _COMPENSATED, by_inverse.absorbed, hosts=by_inverse.hosts)
    # one half of it, or nothing
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
    """The decision that moves the scale alone and keeps the shift, or the other way round; None if neither can move."""
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
    """Half of a map that is moved, and the half that is left; None for a half that cannot be split off."""

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
    outcome: Outcome | Compensated = (
        upstream(graph, node.inputs[0], axis, moved) if move.is_up else downstream(graph, node.ref, axis, moved)
    )
    if move.is_up and isinstance(outcome, Refusal):
        outcome = compensated(graph, node, moved)
    if isinstance(outcome, Refusal):
        return None
    absorbed, hosts = (outcome.absorbed, outcome.hosts) if isinstance(outcome, Compensated) else (outcome, None)
    if not _is_progress(graph, absorbed, moved):
        return None
    stays = with_affine(node.op, move.left)
    return Decision(move.action, move.reason, absorbed, with_mapped_input(stays, moved) if move.is_up else stays, hosts)


def _is_progress(graph: Graph, absorbed: tuple[Absorption, ...], moved: Affine) -> bool:
    """False if half a map would be new to another affine: the two would move it back and forth for ever."""
    affines = [
        affine_of(graph.node(absorption.node).op) for absorption in absorbed if is_affine(graph.node(absorption.node))
    ]
    return all(affine.has_scale if moved.has_scale else affine.has_shift for affine in affines)
