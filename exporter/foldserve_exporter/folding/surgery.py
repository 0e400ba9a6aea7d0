"""Graph edits: each returns a new graph and leaves the old one as it was."""

from collections.abc import Mapping
from dataclasses import replace

from ..graph import Graph, Node, Op, Ref


def with_ops(graph: Graph, ops: Mapping[int, Op]) -> Graph:
    """The graph in which some nodes, by their keys, call other ops."""
    if not ops:
        return graph
    return replace(graph, nodes=tuple(replace(n, op=ops[n.key]) if n.key in ops else n for n in graph.nodes))


def without_node(graph: Graph, node: Node) -> Graph:
    """The graph without a node of one input and one output: its readers read its input."""
    source = node.inputs[0]

    def swap(ref: Ref) -> Ref:
        return source if ref == node.ref else ref

    kept = (other for other in graph.nodes if other.key != node.key)
    nodes = tuple(other.rewired(swap) if node.ref in other.inputs else other for other in kept)
    return replace(graph, nodes=nodes, output_refs=tuple(map(swap, graph.output_refs)))
