"""Layers that were shared and folded alike are one layer again."""

from dataclasses import replace

import numpy as np

from ..graph import Graph, Op


def deduplicated(graph: Graph) -> Graph:
    """The graph in which ops of one path with equal configuration and weights are one op."""
    first: dict[str, list[Op]] = {}
    nodes = []
    for node in graph.nodes:
        known = first.setdefault(node.op.path, [])
        twin = next((op for op in known if op is node.op or _are_equal(op, node.op)), None)
        if twin is None:
            known.append(node.op)
        nodes.append(node if twin is None else replace(node, op=twin))
    return replace(graph, nodes=tuple(nodes))


def _are_equal(one: Op, other: Op) -> bool:
    return (
        one.kind is other.kind
        and one.template is other.template is None
        and dict(one.config) == dict(other.config)
        and len(one.weights) == len(other.weights)
        and all(
            a.name == b.name and np.array_equal(a.value, b.value)
            for a, b in zip(one.weights, other.weights, strict=True)
        )
    )
