"""The layer in which the answers to a row begin to depend on the rows beside it."""

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, Ref
from ..graph.ir import INPUT
from ..recalibration.subgraph import Subgraph

_VISIBLE = 1e-2


def batch_dependent_layer(graph: Graph, alone: Arrays, among: Arrays, least: float = _VISIBLE) -> str | None:
    """The path of the first layer whose result for some rows changes; None where none does in inference.

    Args:
        graph: The model.
        alone: The rows, by input in the order of the graph's.
        among: The same rows, behind others.
        least: The share of the result's scale from which on a change counts.
    """
    nodes = [node for node in graph.nodes if node.outputs[0].is_float]
    inputs = [Ref(INPUT, position) for position in range(len(graph.inputs))]
    section = Subgraph(graph, inputs, [node.ref for node in nodes])
    first, second = section.run(list(alone.values())), section.run(list(among.values()))
    for node, expected, behind_others in zip(nodes, first, second, strict=True):
        if _differ(expected, behind_others[-len(expected) :], least):
            return node.op.path
    return None


def _differ(expected: Array, received: Array, least: float) -> bool:
    if expected.shape != received.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.abs(expected - received).max(initial=0) > least * np.abs(expected).max(initial=0))
