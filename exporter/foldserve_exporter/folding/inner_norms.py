"""BatchNormalization in layers that cannot be read: each stays where it is, as one affine map."""

from collections.abc import Iterator
from dataclasses import replace

from ..graph import ChannelAffine, Graph, Op
from ..graph.unreadable_layer import unreadable_ops
from .affine_op import affine_of, axis_of
from .batch_norm import as_affine_op
from .plan import Action, PlanEntry
from .surgery import with_ops


def with_inner_affines(graph: Graph) -> Graph:
    """The graph in which copies of such layers compute affine maps in place of their normalizations.

    Raises:
        Refused: statistics that cannot be folded; the message names the layer.
    """
    ops = {id(op): _mapped(op) for op in unreadable_ops(graph)}
    return with_ops(graph, {node.key: ops[id(node.op)] for node in graph.nodes if id(node.op) in ops})


def inner_norm_entries(graph: Graph) -> Iterator[PlanEntry]:
    """The plan entries of these normalizations, for each call of the layer that they are in."""
    for node in graph.nodes:
        norms = node.op.unreadable.norms if node.op.unreadable is not None else ()
        for norm in norms:
            if norm is not None:
                yield PlanEntry(norm.op.path, node.call, Action.AFFINE, _reason(node.op), None)


def _mapped(op: Op) -> Op:
    assert op.unreadable is not None
    folded = [None if norm is None else as_affine_op(norm) for norm in op.unreadable.norms]
    affines = tuple(
        None if f is None else ChannelAffine(affine_of(f).scale, affine_of(f).shift, axis_of(f)) for f in folded
    )
    return replace(op, unreadable=replace(op.unreadable, affines=affines))


def _reason(op: Op) -> str:
    assert op.unreadable is not None
    return (
        f"it stays in {op.path}, because call() of {op.kind.__name__} cannot be read ({op.unreadable.reason}). To "
        "fold it, write that call() with keras.ops and layers alone, or as a functional model"
    )
