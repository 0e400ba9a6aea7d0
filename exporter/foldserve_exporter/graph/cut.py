"""Cutting a graph at a layer: the model that answers with that layer's features."""

from dataclasses import replace

from ..errors import Refused
from .ir import Graph, Node

_SHOWN = 8


def cut(graph: Graph, layer: str) -> Graph:
    """The graph that ends with the output of a layer and holds only the nodes which that output needs.

    Args:
        graph: A whole model, not folded yet: a layer that feeds a BatchNormalization still answers as it did.
        layer: The layer's path (`backbone/conv_5`), or the end of it where only one layer has that.

    Raises:
        Refused: There is no such layer, there are several, it is called several times, or it has several outputs.
    """
    node = _find(graph, layer)
    if len(node.outputs) != 1:
        raise Refused(f"layer {node.op.path!r} has {len(node.outputs)} outputs; cut at one that has a single one")
    needed = _needed(graph, node)
    used = sorted({ref.output for n in graph.nodes if n.key in needed for ref in n.inputs if ref.is_input})
    if len(used) != len(graph.inputs):
        unused = [spec.name for position, spec in enumerate(graph.inputs) if position not in used]
        raise Refused(f"layer {node.op.path!r} does not depend on the inputs {unused}; cut where all inputs have met")
    return replace(
        graph,
        nodes=tuple(n for n in graph.nodes if n.key in needed),
        outputs=(replace(node.outputs[0], name=node.op.name),),
        output_refs=(node.ref,),
        output_structure=0,
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
    if len(matches) > 1:
        raise Refused(f"layer {paths[0]!r} is called {len(matches)} times; cut at a layer that is called once")
    return matches[0]


def _needed(graph: Graph, last: Node) -> set[int]:
    """Keys of the nodes that lead to the last node, itself included."""
    needed: set[int] = set()
    pending = [last]
    while pending:
        node = pending.pop()
        if node.key not in needed:
            needed.add(node.key)
            pending.extend(graph.node(ref.node) for ref in node.inputs if not ref.is_input)
    return needed
