"""The fold: every BatchNormalization becomes an affine map, and every map goes where it can, until nothing moves."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..graph import Graph, Node, rebuild, trace
from ..graph.grouped import ungrouped
from ..graph.ir import sequel
from .affine_op import is_affine, lowered
from .batch_norm import as_affine_op
from .ledger import Ledger
from .neighbours import floated, neighbour, summed
from .plan import PlanEntry, decide
from .sharing import shared
from .surgery import applied
from .unreadable import entries, with_maps


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A folded model and what became of each of its BatchNormalization calls."""

    model: Any
    plan: tuple[PlanEntry, ...]


def fold(model: Any) -> Folded:
    """Fold the frozen statistics of a Keras 3 model into its weights.

    Args:
        model: a built `keras.Model`; it comes back unchanged.

    Returns:
        The float32 model without BatchNormalization, of stock layers, deaf to the learning phase; and the plan. A
        layer of the user's own that cannot be read is a copy in which each BatchNormalization computes one affine.

    Raises:
        Refused: statistics that cannot be folded, or a model that cannot be read; the message names the layer.
    """
    graph, plan = fold_graph(trace(model))
    return Folded(rebuild(graph), plan)


def fold_graph(graph: Graph) -> tuple[Graph, tuple[PlanEntry, ...]]:
    """`fold` on a graph: weights are left in float64, for `rebuild` to round once."""
    graph = sequel(graph, summed)
    graph = sequel(graph, partial(floated, graph))
    ledger = Ledger(graph.batch_norms)
    graph = replace(graph, nodes=tuple(_as_affine(graph, node) for node in graph.nodes))
    moving = True
    while moving:
        moving = False
        for key in [node.key for node in graph.nodes if is_affine(node)]:
            node = graph.node(key)
            decision = decide(graph, node)
            ledger.note(graph, node, decision)
            graph = applied(graph, node, decision)
            moving = moving or decision.left is not node.op
    plan = (*ledger.entries(graph), *entries(graph))
    graph = with_maps(graph)
    lowest = replace(graph, nodes=tuple(lowered(node) if is_affine(node) else node for node in graph.nodes))
    return ungrouped(shared(lowest)), plan


def _as_affine(graph: Graph, node: Node) -> Node:
    if node in graph.batch_norms:
        return replace(node, op=as_affine_op(node), kwargs={}, args=(node.inputs[0],))
    op = neighbour(graph, node)
    return node if op is None else replace(node, op=op, args=(node.inputs[0],))
