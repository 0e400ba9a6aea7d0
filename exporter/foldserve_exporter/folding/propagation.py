"""Follow a graph from an affine map to the nodes that can take it up: upwards, or downwards along every path."""

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
"""How many times larger than its values a shift may be that is carried through the layers that read these values."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """One node that takes up a map: ``op`` is what it becomes."""

    node: int
    op: Op


Absorptions = tuple[Absorption, ...] | Refusal
Part = Callable[[Graph], Absorptions]


def upstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Absorptions:
    """The nodes that together take up a map on ``ref``, above it; ``ref`` has no other reader."""
    if affine.is_identity:
        return ()
    node = _only_reader(graph, ref)
    return node if isinstance(node, Refusal) else _at_producer(graph, node, axis, affine)


def downstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Absorptions:
    """The nodes that together take up a map on ``ref``, below it: every reader must."""
    if graph.is_output(ref):
        return Refusal(RefusalReason.MODEL_OUTPUT, "its result is an output of the model")
    uses = graph.uses(ref)
    if not uses:
        return Refusal(RefusalReason.NO_READER, "nothing reads its result")
    return _all(graph, [partial(_at_use, use=use, axis=axis, affine=affine) for use in uses])


@dataclass(frozen=True, slots=True, eq=False)
class Compensated:
    """All that changes, and the keys of the nodes that take up the map; the others take it back."""

    absorbed: tuple[Absorption, ...]
    hosts: frozenset[int]


def compensated(graph: Graph, node: Node, affine: Affine) -> Compensated | Refusal:
    """Take up a map that stands at an affine node above it, and take it back for all other readers there."""
    source, axis = node.inputs[0], axis_of(node.op)
    if source.is_input or graph.is_output(source) or len(graph.node(source.node).outputs) > 1:
        return Refusal(RefusalReason.OTHER_READER, "what it reads is an input or an output")
    size = magnitude_of(node.op)
    if size is None or not (
        affine.is_moderate and np.all(np.abs(affine.shift / affine.scale) <= _MAX_SHIFT_RATIO * size)
    ):
        return Refusal(RefusalReason.ZERO_SCALE, "its shift is large beside the values")
    others = [use for use in graph.uses(source) if use.node != node.key]
    if not others:
        return Refusal(RefusalReason.NO_READER, "it is the only reader")
    hosts = _at_producer(graph, graph.node(source.node), axis, affine)
    if isinstance(hosts, Refusal):
        return hosts
    parts: list[Part] = [lambda _: hosts]
    parts += [partial(_at_use, use=use, axis=axis, affine=inverse(affine)) for use in others]
    reached = _all(graph, parts)
    if isinstance(reached, Refusal):
        return reached
    if any(absorb.node == node.key for absorb in reached):
        return Refusal(RefusalReason.OTHER_READER, "it would take up its own map")
    return Compensated(reached, frozenset(absorb.node for absorb in hosts))


def _at_producer(graph: Graph, node: Node, axis: int, affine: Affine) -> Absorptions:
    """The nodes that together take up a map on what ``node`` makes."""
    node = graph.node(node.key)
    if is_affine(node):
        return _merged(node, axis, affine, above=True)
    choices = commuting.upwards(graph, node, axis, affine)
    if isinstance(choices, Refusal):
        return choices
    if choices is None:
        op = absorb_backward(node, axis, affine)
        return op if isinstance(op, Refusal) else (Absorption(node.key, op),)
    return _first(partial(_all, graph, [partial(_above, feed=feed) for feed in feeds]) for feeds in choices)


def _at_use(graph: Graph, use: Use, axis: int, affine: Affine) -> Absorptions:
    """The nodes that take up a map on one of the tensors that a node reads: itself, or those beyond it."""
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


def _across(graph: Graph, node: Node, crossing: Crossing) -> Absorptions:
    parts: list[Part] = [partial(_above, feed=feed) for feed in crossing.feeds]
    if crossing.onward is not None:
        axis, affine = crossing.onward
        parts.append(partial(downstream, ref=node.ref, axis=axis, affine=affine))
    return _all(graph, parts)


def _above(graph: Graph, feed: InputMap) -> Absorptions:
    return upstream(graph, *feed)


def _all(graph: Graph, parts: Iterable[Part]) -> Absorptions:
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
    return tuple(Absorption(key, op) for key, op in found.items())


def _first(choices: Iterable[Callable[[], Absorptions]]) -> Absorptions:
    """What the first choice that is open reaches, or why the first of all is not."""
    refusal: Refusal | None = None
    for choice in choices:
        reached = choice()
        if not isinstance(reached, Refusal):
            return reached
        refusal = refusal or reached
    return refusal or Refusal(RefusalReason.OTHER_AXIS, "no input has the normalized axis")


def _merged(node: Node, axis: int, affine: Affine, above: bool) -> Absorptions:
    if axis_of(node.op) != axis:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} works along another axis")
    own = affine_of(node.op)
    if above:
        return (Absorption(node.key, with_affine(node.op, compose(own, affine))),)
    return (Absorption(node.key, with_unmapped_input(with_affine(node.op, compose(affine, own)), affine)),)


def _only_reader(graph: Graph, ref: Ref) -> Node | Refusal:
    if ref.is_input:
        return Refusal(RefusalReason.MODEL_INPUT, f"it reads the model's input {graph.spec(ref).name}")
    node = graph.node(ref.node)
    if graph.is_output(ref):
        words = f"the output of {node.op.path} is an output of the model as well"
        return Refusal(RefusalReason.MODEL_OUTPUT, words, f"leave {node.op.path} out of the model's outputs")
    readers = graph.readers(ref)
    if len(readers) > 1:
        others = sorted({reader.op.path for reader in readers})
        words = f"the output of {node.op.path} feeds several readers: {', '.join(others)}"
        return Refusal(RefusalReason.OTHER_READER, words, "let all of them read what is normalized")
    if len(node.outputs) > 1:
        return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} has several outputs")
    return node
