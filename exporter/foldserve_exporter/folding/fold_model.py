"""The fold: BatchNormalization becomes an affine map, and maps are propagated into other layers until none moves."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..graph import Graph, Node, rebuild, trace
from ..graph.grouped_convolutions import lower_grouped_convolutions
from ..graph.ir import expand_nodes
from .affine_layers import affine_layer_op, average_as_sum, with_float_cast
from .affine_op import is_affine, lowered
from .batch_norm import as_affine_op
from .deduplication import deduplicated
from .fold_record import FoldRecord
from .inner_norms import inner_norm_entries, with_inner_affines
from .own_layers import with_own_layers_opened
from .plan import PlanEntry, applied, decide


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A folded model, and the result for each of its BatchNormalization calls."""

    model: Any
    plan: tuple[PlanEntry, ...]


def fold(model: Any) -> Folded:
    """Fold the frozen statistics of a Keras 3 model into its weights.

    Args:
        model: a built `keras.Model`; it comes back unchanged.

    Returns:
        The float32 model without BatchNormalization, of stock layers, independent of the learning phase; and the plan.
        A custom layer that cannot be read is a copy in which each BatchNormalization computes one affine map.

    Raises:
        Refused: statistics that cannot be folded, or a model that cannot be read; the message names the layer.
    """
    graph, plan = fold_graph(trace(model))
    return Folded(rebuild(graph), plan)


def fold_graph(graph: Graph) -> tuple[Graph, tuple[PlanEntry, ...]]:
    """`fold` on a graph: weights are left in float64, for `rebuild` to round once."""
    # layers of somebody's own become convolutions where that is what they compute
    graph = with_own_layers_opened(graph)
    # every layer that computes an affine map becomes an affine node
    graph = expand_nodes(graph, average_as_sum)
    graph = expand_nodes(graph, partial(with_float_cast, graph))
    record = FoldRecord(graph.batch_norms)
    graph = replace(graph, nodes=tuple(_as_affine(graph, node) for node in graph.nodes))
    # the maps move into other layers; normalizations of layers that cannot be read become maps where they are
    graph = _propagated(graph, record)
    plan = (*record.entries(graph), *inner_norm_entries(graph))
    graph = with_inner_affines(graph)
    # what is left becomes stock layers
    lowest = replace(graph, nodes=tuple(lowered(node) if is_affine(node) else node for node in graph.nodes))
    return lower_grouped_convolutions(deduplicated(lowest)), plan


def _propagated(graph: Graph, record: FoldRecord) -> Graph:
    """The graph in which every affine map has moved as far as it can: decided and applied until a fixed point."""
    moving = True
    while moving:
        moving = False
        for key in [node.key for node in graph.nodes if is_affine(node)]:
            node = graph.node(key)
            decision = decide(graph, node)
            record.add(graph, node, decision)
            graph = applied(graph, node, decision)
            moving = moving or decision.left is not node.op
    return graph


def _as_affine(graph: Graph, node: Node) -> Node:
    if node in graph.batch_norms:
        return replace(node, op=as_affine_op(node), kwargs={}, args=(node.inputs[0],))
    op = affine_layer_op(graph, node)
    return node if op is None else replace(node, op=op, args=(node.inputs[0],))
