"""Cutting a graph at a layer: the model that answers with that layer's features."""

from dataclasses import replace

import keras

from ..errors import Refused
from .ir import Graph, Node, Ref, live_nodes
from .unused_inputs import without_unused_inputs

_SHOWN = 8


def cut(graph: Graph, layer: str) -> Graph:
    """The graph that ends with the output of a layer and holds only the nodes and inputs which that output needs.

    Of a layer that is called several times, by a siamese network on each of its inputs, the first call is taken.

    Args:
        graph: A whole model, not folded yet: a layer that feeds a BatchNormalization still answers as it did.
        layer: The layer's path (`backbone/conv_5`), or the end of it where only one layer has that.

    Raises:
        Refused: There is no such layer, there are several, it is called several times and not alike, or it has several
            outputs.
    """
    node = _find(graph, layer)
    if len(node.outputs) != 1:
        raise Refused(f"layer {node.op.path!r} has {len(node.outputs)} outputs; cut at one that has a single one")
    return without_unused_inputs(
        replace(
            graph,
            nodes=live_nodes(graph.nodes, [node.ref]),
            outputs=(replace(node.outputs[0], name=node.op.name),),
            output_refs=(node.ref,),
            output_structure=0,
        )
    )


def _find(graph: Graph, layer: str) -> Node:
    exact = [node for node in graph.nodes if node.op.path == layer]
    ends = (node for node in graph.nodes if node.op.name == layer or node.op.path.endswith(f"/{layer}"))
    matches = exact or list(ends)  # preprocessing, or a Sequential around it, makes a path longer than its user knows
    paths = sorted({node.op.path for node in matches})
    if not matches:
        similar = sorted({n.op.path for n in graph.nodes if layer.lower() in n.op.path.lower()})
        examples = similar or [node.op.path for node in graph.nodes][-_SHOWN:]
        raise Refused(f"the model has no layer {layer!r}; it has, for example, {', '.join(examples[:_SHOWN])}")
    if len(paths) > 1:
        raise Refused(f"several layers are called {layer!r}; give one of the paths {', '.join(paths[:_SHOWN])}")
    if len(matches) > 1 and not all(_are_alike(graph, matches[0].ref, other.ref) for other in matches[1:]):
        raise Refused(f"layer {paths[0]!r} is called {len(matches)} times; cut at a layer that is called once")
    return matches[0]


def _are_alike(graph: Graph, one: Ref, other: Ref) -> bool:
    """True if two tensors are the same function of inputs of the same shape, as those of a siamese network are."""
    twins: dict[Ref, Ref] = {}
    pending = [(one, other)]
    while pending:
        pair = pending.pop()
        if twins.setdefault(*pair) != pair[1] or not _match(graph, *pair):
            return False
        pending.extend(twin for twin in _sources(graph, *pair) if twins.get(twin[0]) != twin[1])
    return True


def _match(graph: Graph, one: Ref, other: Ref) -> bool:
    """True if two tensors are results of the same layer, or inputs of the same shape and dtype."""
    if one.is_input or other.is_input:
        ends = [(graph.spec(ref).shape, graph.spec(ref).dtype, ref.is_input) for ref in (one, other)]
        return ends[0] == ends[1]
    first, second = graph.node(one.node), graph.node(other.node)
    return one.output == other.output and first.op is second.op and _constants(first) == _constants(second)


def _sources(graph: Graph, one: Ref, other: Ref) -> list[tuple[Ref, Ref]]:
    if one.is_input:
        return []
    return list(zip(graph.node(one.node).inputs, graph.node(other.node).inputs, strict=True))


def _constants(node: Node) -> list[str]:
    """The arguments of a call, tensors apart."""
    leaves = keras.tree.flatten((node.args, dict(node.kwargs)))
    return ["tensor" if isinstance(leaf, Ref) else repr(leaf) for leaf in leaves]
