"""Layers of the exporter's own for sizes that are open until a call, and the graph in which they replace Keras'."""

from dataclasses import replace

import keras

from .ir import Graph, Node
from .open_upsampling import OpenUpSampling2D
from .step_layers import MergeSteps, PartSteps

_OPEN_SIZED = (MergeSteps, OpenUpSampling2D, PartSteps)


def with_open_upsampling(graph: Graph) -> Graph:
    """The graph in which every interpolating UpSampling2D that is called on open sizes reads them when it is called."""
    opened = {id(n.op): replace(n.op, kind=OpenUpSampling2D) for n in graph.nodes if _fails_in_keras(graph, n)}
    nodes = tuple(replace(node, op=opened.get(id(node.op), node.op)) for node in graph.nodes)
    return replace(graph, nodes=nodes) if opened else graph


def open_sized_layers(graph: Graph) -> tuple[str, ...]:
    """Paths of the layers that are the exporter's own."""
    return tuple(dict.fromkeys(node.op.path for node in graph.nodes if node.op.kind in _OPEN_SIZED))


def _fails_in_keras(graph: Graph, node: Node) -> bool:
    is_interpolating = node.op.kind is keras.layers.UpSampling2D and node.op.config["interpolation"] != "nearest"
    return is_interpolating and None in graph.spec(node.inputs[0]).shape[1:3]
