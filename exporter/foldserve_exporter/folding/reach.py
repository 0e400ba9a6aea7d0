"""Follow a graph from an affine map to the nodes that can take it up: upwards, or downwards along every path."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..graph import Graph, Node, Op, Ref
from . import commuting
from .affine_op import affine_of, axis_of, is_affine, with_affine
from .arithmetic import Affine, compose
from .backward import absorb_backward
from .forward import absorb_forward
from .refusal import Refusal, Why


@dataclass(frozen=True, slots=True, eq=False)
class Absorb:
    """One node that takes up a map: ``op`` is what it becomes."""

    node: int
    op: Op


Reached = tuple[Absorb, ...] | Refusal


def upstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Reached:
    """The nodes that together take up a map on ``ref``, above it; ``ref`` has no other reader."""
    node = _only_reader(graph, ref)
    if isinstance(node, Refusal):
        return node
    if is_affine(node):
        return _merged(node, axis, affine, above=True)
    feeds = commuting.upwards(graph, node, axis, affine)
    if isinstance(feeds, Refusal):
        return feeds
    if feeds is not None:
        return _all(upstream(graph, *feed) for feed in feeds)
    op = absorb_backward(node, axis, affine)
    return op if isinstance(op, Refusal) else (Absorb(node.key, op),)


def downstream(graph: Graph, ref: Ref, axis: int, affine: Affine) -> Reached:
    """The nodes that together take up a map on ``ref``, below it: every reader must."""
    if graph.is_output(ref):
        return Refusal(Why.MODEL_OUTPUT, "its result is an output of the model")
    readers = graph.readers(ref)
    if not readers:
        return Refusal(Why.NO_READER, "nothing reads its result")
    if len({node.key for node in readers}) != len(readers):
        return Refusal(Why.OTHER_READER, f"{readers[0].op.path} reads it twice")
    return _all(_into(graph, node, ref, axis, affine) for node in readers)


def _into(graph: Graph, node: Node, ref: Ref, axis: int, affine: Affine) -> Reached:
    if is_affine(node):
        return _merged(node, axis, affine, above=False)
    moved = commuting.downwards(graph, node, ref, axis, affine)
    if isinstance(moved, Refusal):
        return moved
    if moved is not None:
        return downstream(graph, node.ref, *moved)
    op = absorb_forward(node, axis, len(graph.spec(ref).shape), affine)
    return op if isinstance(op, Refusal) else (Absorb(node.key, op),)


def _merged(node: Node, axis: int, affine: Affine, above: bool) -> Reached:
    if axis_of(node.op) != axis:
        return Refusal(Why.OTHER_AXIS, f"{node.op.path} works along another axis")
    own = affine_of(node.op)
    merged = compose(own, affine) if above else compose(affine, own)
    return (Absorb(node.key, with_affine(node, merged).op),)


def _only_reader(graph: Graph, ref: Ref) -> Node | Refusal:
    if ref.is_input:
        return Refusal(Why.MODEL_INPUT, f"it reads the model's input {graph.spec(ref).name}")
    node = graph.node(ref.node)
    if graph.is_output(ref):
        return Refusal(Why.MODEL_OUTPUT, f"the output of {node.op.path} is an output of the model as well")
    readers = graph.readers(ref)
    if len(readers) > 1:
        others = sorted({reader.op.path for reader in readers})
        return Refusal(Why.OTHER_READER, f"the output of {node.op.path} feeds several readers: {', '.join(others)}")
    if len(node.outputs) > 1:
        return Refusal(Why.NOT_A_HOST, f"{node.op.path} has several outputs")
    return node


def _all(parts: Iterable[Reached]) -> Reached:
    """Every part's absorbers, or the first refusal; a node reached twice cannot take up both."""
    found: list[Absorb] = []
    for part in parts:
        if isinstance(part, Refusal):
            return part
        found.extend(part)
    keys = [absorb.node for absorb in found]
    if len(set(keys)) != len(keys):
        return Refusal(Why.OTHER_READER, "it reaches one layer along several paths")
    return tuple(found)
