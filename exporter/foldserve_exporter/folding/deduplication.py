"""Deduplication: shared layers whose calls were folded alike become one layer again."""

from dataclasses import replace

import numpy as np

from ..graph import Graph, Op


def deduplicated(graph: Graph) -> Graph:
    """The graph in which ops of one path with equal configuration and weights are one op."""
    distinct: dict[str, list[Op]] = {}  # by path
    nodes = []
    for node in graph.nodes:
        ops = distinct.setdefault(node.op.path, [])
        equal = next((op for op in ops if op is node.op or _are_equal(op, node.op)), None)
        if equal is None:
            ops.append(node.op)
        nodes.append(node if equal is None else replace(node, op=equal))
    return replace(graph, nodes=tuple(nodes))


def _are_equal(op: Op, other: Op) -> bool:
    return (
        op.kind is other.kind
        and op.template is other.template is None
        and dict(op.config) == dict(other.config)
        and len(op.weights) == len(other.weights)
        and all(
            a.name == b.name and np.array_equal(a.value, b.value)
            for a, b in zip(op.weights, other.weights, strict=True)
        )
    )
