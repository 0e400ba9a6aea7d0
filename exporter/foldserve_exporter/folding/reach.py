"""Follow a graph from an affine map to the nodes that can take it up: upwards, or downwards along every path."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..graph import Graph, Node, Op, Reading, Ref
from . import commuting
from .affine_op import affine_of, axis_of, given_unmapped, is_affine, size_of, with_affine
from .arithmetic import Affine, compose, inverse
from .backward import absorb_backward
from .forward import absorb_forward
from .refusal import Refusal, Why
from .sums import Crossing, Feed
from .surgery import with_ops

_ROOM = 16
"""How many times larger than its values a shift may be that is carried through the layers that read these values."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorb:
    """One node that takes up a map: ``op`` is what it becomes."""

    node: int
    op: Op


Reached = tuple[Absorb, ...] | Refusal
Part = Callable[[Graph], Reached]


def upstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Reached:
    """The nodes that together take up a map on ``ref``, above it; ``ref`` has no other reader."""
    if affine.is_identity:
        return ()
    node = _only_reader(graph, ref)
    return node if isinstance(node, Refusal) else _made_by(graph, node, axis, affine)


def downstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Reached:
    """The nodes that together take up a map on ``ref``, below it: every reader must."""
    if graph.is_output(ref):
        return Refusal(Why.MODEL_OUTPUT, "its result is an output of the model")
    readings = graph.readings(ref)
    if not readings:
        return Refusal(Why.NO_READER, "nothing reads its result")
    return _all(graph, [partial(_into, reading=reading, axis=axis, affine=affine) for reading in readings])


@dataclass(frozen=True, slots=True, eq=False)
class Rebased:
    """All that changes, and the keys of the nodes that take up the map; the others take it back."""

    absorbed: tuple[Absorb, ...]
    hosts: frozenset[int]


def rebased(graph: Graph, node: Node, affine: Affine) -> Rebased | Refusal:
    """Take up a map that stands at an affine node above it, and take it back for all other readers there."""
    source, axis = node.inputs[0], axis_of(node.op)
    if source.is_input or graph.is_output(source) or len(graph.node(source.node).outputs) > 1:
        return Refusal(Why.OTHER_READER, "what it reads is an input or an output")
    size = size_of(node.op)
    if size is None or not (affine.is_moderate and np.all(np.abs(affine.shift / affine.scale) <= _ROOM * size)):
        return Refusal(Why.ZERO_SCALE, "its shift is large beside the values")
    others = [reading for reading in graph.readings(source) if reading.node != node.key]
    if not others:
        return Refusal(Why.NO_READER, "it is the only reader")
    hosts = _made_by(graph, graph.node(source.node), axis, affine)
    if isinstance(hosts, Refusal):
        return hosts
    parts: list[Part] = [lambda _: hosts]
    parts += [partial(_into, reading=reading, axis=axis, affine=inverse(affine)) for reading in others]
    reached = _all(graph, parts)
    if isinstance(reached, Refusal):
        return reached
    if any(absorb.node == node.key for absorb in reached):
        return Refusal(Why.OTHER_READER, "it would take up its own map")
    return Rebased(reached, frozenset(absorb.node for absorb in hosts))


def _made_by(graph: Graph, node: Node, axis: int, affine: Affine) -> Reached:
    """The nodes that together take up a map on what ``node`` makes."""
    node = graph.node(node.key)
    if is_affine(node):
        return _merged(node, axis, affine, above=True)
    choices = commuting.upwards(graph, node, axis, affine)
    if isinstance(choices, Refusal):
        return choices
    if choices is None:
        op = absorb_backward(node, axis, affine)
        return op if isinstance(op, Refusal) else (Absorb(node.key, op),)
    return _first(partial(_all, graph, [partial(_above, feed=feed) for feed in feeds]) for feeds in choices)


def _into(graph: Graph, reading: Reading, axis: int, affine: Affine) -> Reached:
    """The nodes that take up a map on one of the tensors that a node reads: itself, or those beyond it."""
    node = graph.node(reading.node)
    if affine.is_identity:
        return ()
    if is_affine(node):
        return _merged(node, axis, affine, above=False)
    crossings = commuting.downwards(graph, node, reading.position, axis, affine)
    if isinstance(crossings, Refusal):
        return crossings
    if crossings is not None:
        return _first(partial(_across, graph, node, crossing) for crossing in crossings)
    rank = len(graph.spec(node.inputs[reading.position]).shape)
    op = absorb_forward(node, reading.position, axis, rank, affine)
    return op if isinstance(op, Refusal) else (Absorb(node.key, op),)


def _across(graph: Graph, node: Node, crossing: Crossing) -> Reached:
    parts: list[Part] = [partial(_above, feed=feed) for feed in crossing.feeds]
    if crossing.onward is not None:
        axis, affine = crossing.onward
        parts.append(partial(downstream, ref=node.ref, axis=axis, affine=affine))
    return _all(graph, parts)


def _above(graph: Graph, feed: Feed) -> Reached:
    return upstream(graph, *feed)


def _all(graph: Graph, parts: Iterable[Part]) -> Reached:
    """What every part reaches, or the first refusal.

    Each part sees the graph as the parts before it leave it: a layer that is reached along several paths takes up one
    map after the other.
    """
    found: dict[int, Op] = {}
    for part in parts:
        reached = part(with_ops(graph, found))
        if isinstance(reached, Refusal):
            return reached
        found.update((absorb.node, absorb.op) for absorb in reached)
    return tuple(Absorb(key, op) for key, op in found.items())


def _first(choices: Iterable[Callable[[], Reached]]) -> Reached:
    """What the first choice that is open reaches, or why the first of all is not."""
    refusal: Refusal | None = None
    for choice in choices:
        reached = choice()
        if not isinstance(reached, Refusal):
            return reached
        refusal = refusal or reached
    return refusal or Refusal(Why.OTHER_AXIS, "no input has the normalized axis")


def _merged(node: Node, axis: int, affine: Affine, above: bool) -> Reached:
    if axis_of(node.op) != axis:
        return Refusal(Why.OTHER_AXIS, f"{node.op.path} works along another axis")
    own = affine_of(node.op)
    if above:
        return (Absorb(node.key, with_affine(node.op, compose(own, affine))),)
    return (Absorb(node.key, given_unmapped(with_affine(node.op, compose(affine, own)), affine)),)


def _only_reader(graph: Graph, ref: Ref) -> Node | Refusal:
    if ref.is_input:
        return Refusal(Why.MODEL_INPUT, f"it reads the model's input {graph.spec(ref).name}")
    node = graph.node(ref.node)
    if graph.is_output(ref):
        words = f"the output of {node.op.path} is an output of the model as well"
        return Refusal(Why.MODEL_OUTPUT, words, f"leave {node.op.path} out of the model's outputs")
    readers = graph.readers(ref)
    if len(readers) > 1:
        others = sorted({reader.op.path for reader in readers})
        words = f"the output of {node.op.path} feeds several readers: {', '.join(others)}"
        return Refusal(Why.OTHER_READER, words, "let all of them read what is normalized")
    if len(node.outputs) > 1:
        return Refusal(Why.NOT_A_HOST, f"{node.op.path} has several outputs")
    return node
