"""Propagation of an affine map to the nodes of a graph that can absorb it: upstream, or downstream on every path."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..graph import Graph, Node, Op, Ref, Use
from . import commuting
from .affine_op import affine_of, axis_of, is_affine, magnitude_of, with_affine, with_unmapped_input
from .arithmetic import Affine, compose, inverse
from .backward import absorb_backward
from .forward import absorb_forward
from .refusal import Refusal, RefusalReason
from .sums_and_products import Crossing, InputMap
from .surgery import with_ops

_MAX_SHIFT_RATIO = 16
"""Upper bound of shift/magnitude for a shift that other readers have to compensate: more of it would cost precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """Node that absorbs a map: its key, and the op that it calls afterwards."""

    node: int
    op: Op


Outcome = tuple[Absorption, ...] | Refusal
Part = Callable[[Graph], Outcome]


def upstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Outcome:
    """The nodes that together absorb a map on ``ref``, above it; a refusal where ``ref`` has other readers."""
    if affine.is_identity:
        return ()
    node = _producer(graph, ref)
    return node if isinstance(node, Refusal) else _at_producer(graph, node, axis, affine)


def downstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Outcome:
    """The nodes that together absorb a map on ``ref``, below it: every reader must."""
    if graph.is_output(ref):
        return Refusal(RefusalReason.MODEL_OUTPUT, "its result is an output of the model")
    uses = graph.uses(ref)
    if not uses:
        return Refusal(RefusalReason.NO_READER, "nothing reads its result")
    return _all(graph, [partial(_at_use, use=use, axis=axis, affine=affine) for use in uses])


@dataclass(frozen=True, slots=True, eq=False)
class Compensated:
    """All nodes that change, and the keys of those that absorb the map; the others absorb its inverse."""

    absorbed: tuple[Absorption, ...]
    hosts: frozenset[int]


def compensated(graph: Graph, node: Node, affine: Affine) -> Compensated | Refusal:
    """Absorption of an affine node's map above it, compensated by the inverse map at all other readers there."""
    source, axis = node.inputs[0], axis_of(node.op)
    if source.is_input or graph.is_output(source) or len(graph.node(source.node).outputs) > 1:
        return Refusal(RefusalReason.OTHER_READER, "what it reads is an input or an output")
    # the inverse map must not cost precision: moderate scales, and shifts in proportion to the values
    magnitude = magnitude_of(node.op)
    if magnitude is None or not (
        affine.is_moderate and np.all(np.abs(affine.shift / affine.scale) <= _MAX_SHIFT_RATIO * magnitude)
    ):
        return Refusal(RefusalReason.ZERO_SCALE, "its shift is large beside the values")
    others = [use for use in graph.uses(source) if use.node != node.key]
    if not others:
        return Refusal(RefusalReason.NO_READER, "it is the only reader")
    # the producer absorbs the map, and every other reader its inverse; each step sees the graph after those before
    hosts = _at_producer(graph, graph.node(source.node), axis, affine)
    if isinstance(hosts, Refusal):
        return hosts
    parts: list[Part] = [lambda _: hosts]
    parts += [partial(_at_use, use=use, axis=axis, affine=inverse(affine)) for use in others]
    outcome = _all(graph, parts)
    if isinstance(outcome, Refusal):
        return outcome
    if any(absorption.node == node.key for absorption in outcome):
        return Refusal(RefusalReason.OTHER_READER, "it would absorb its own map")
    return Compensated(outcome, frozenset(absorption.node for absorption in hosts))


def _at_producer(graph: Graph, node: Node, axis: int, affine: Affine) -> Outcome:
    """The nodes that together absorb a map on the output of ``node``: itself, or nodes above it."""
    node = graph.node(node.key)  # as the steps before left it
    if is_affine(node):
        return _merged(node, axis, affine, above=True)
    choices = commuting.upwards(graph, node, axis, affine)
    if isinstance(choices, Refusal):
        return choices
    if choices is None:
        op = absorb_backward(node, axis, affine)
        return op if isinstance(op, Refusal) else (Absorption(node.key, op),)
    return _first(
        partial(_all, graph, [partial(_above, input_map=input_map) for input_map in input_maps])
        for input_maps in choices
    )


def _at_use(graph: Graph, use: Use, axis: int, affine: Affine) -> Outcome:
    """The nodes that together absorb a map on one input of a node: itself, or nodes below it."""
    node = graph.node(use.node)
    if affine.is_identity:
        return ()
    if is_affine(node):
        return _merged(node, axis, affine, above=False)
    crossings = commuting.downwards(graph, node, use.position, axis, affine)
    if isinstance(crossings, Refusal):
        return crossings
    if crossings is not None:
        return _first(partial(_across, graph, node, crossing) for crossing in crossings)
    rank = len(graph.spec(node.inputs[use.position]).shape)
    op = absorb_forward(node, use.position, axis, rank, affine)
    return op if isinstance(op, Refusal) else (Absorption(node.key, op),)


def _across(graph: Graph, node: Node, crossing: Crossing) -> Outcome:
    parts: list[Part] = [partial(_above, input_map=input_map) for input_map in crossing.input_maps]
    if crossing.onward is not None:
        axis, affine = crossing.onward
        parts.append(partial(downstream, ref=node.ref, axis=axis, affine=affine))
    return _all(graph, parts)


def _above(graph: Graph, input_map: InputMap) -> Outcome:
    return upstream(graph, *input_map)


def _all(graph: Graph, parts: Iterable[Part]) -> Outcome:
    """The absorptions of all parts together, or the first refusal.

    Each part sees the graph as the parts before it leave it: a layer that is reached along several paths absorbs one
    map after the other.
    """
    ops: dict[int, Op] = {}
    for part in parts:
        outcome = part(with_ops(graph, ops))
        if isinstance(outcome, Refusal):
            return outcome
        ops.update((absorption.node, absorption.op) for absorption in outcome)
    return tuple(Absorption(key, op) for key, op in ops.items())


def _first(choices: Iterable[Callable[[], Outcome]]) -> Outcome:
    """The absorptions of the first choice that is possible, or the refusal of the first choice of all."""
    refusal: Refusal | None = None
    for choice in choices:
        outcome = choice()
        if not isinstance(outcome, Refusal):
            return outcome
        refusal = refusal or outcome
    return refusal or Refusal(RefusalReason.OTHER_AXIS, "no input has the normalized axis")


def _merged(node: Node, axis: int, affine: Affine, above: bool) -> Outcome:
    """The affine node that absorbs another map: behind it where it stands above that map, else before it."""
    if axis_of(node.op) != axis:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} works along another axis")
    own = affine_of(node.op)
    if above:
        return (Absorption(node.key, with_affine(node.op, compose(own, affine))),)
    return (Absorption(node.key, with_unmapped_input(with_affine(node.op, compose(affine, own)), affine)),)


def _producer(graph: Graph, ref: Ref) -> Node | Refusal:
    """The node that makes a tensor, if a single reader reads it and it is not an input or output of the model."""
    if ref.is_input:
        return Refusal(RefusalReason.MODEL_INPUT, f"it reads the model's input {graph.spec(ref).name}")
    node = graph.node(ref.node)
    if graph.is_output(ref):
        message = f"the output of {node.op.path} is an output of the model as well"
        return Refusal(RefusalReason.MODEL_OUTPUT, message, f"leave {node.op.path} out of the model's outputs")
    readers = graph.readers(ref)
    if len(readers) > 1:
        others = sorted({reader.op.path for reader in readers})
        message = f"the output of {node.op.path} feeds several readers: {', '.join(others)}"
        return Refusal(RefusalReason.OTHER_READER, message, "let all of them read what is normalized")
    if len(node.outputs) > 1:
        return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} has several outputs")
    return node
