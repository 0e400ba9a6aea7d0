"""Layers of the user's own, opened: a convolution whose kernel is computed from weights is one with that kernel.

In inference a weight-standardised, equalised or gated kernel is K = f(W), a constant. So the layer is read once on a
copy in float64, everything that does not depend on its input is computed there, and what is left is a convolution that
absorbs a BatchNormalization as any other does.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np

from ..graph import Graph, Node, Op, Ref, TensorInfo
from ..graph.instantiate import assign_weights, instantiate, policy
from ..graph.ir import INPUT, expand_nodes, live_nodes
from ..graph.precision import is_custom_code
from ..graph.tracer import Tracer
from .affine_layers import affine_layer_op
from .constant_kernels import has_constant_kernel, with_kernels_as_weights
from .tensorflow_calls import TensorFlowCall


def with_own_layers_opened(graph: Graph) -> Graph:
    """The graph in which such layers are convolutions and products with constant kernels, and what else they compute.

    Layers of which something cannot be read, or which compute nothing of that kind, stay as they are; so do all where
    masks travel beside the tensors, which the nodes of an opened layer would not pass on as it does.
    """
    if not graph.batch_norms or any(_makes_masks(node) for node in graph.nodes):
        return graph
    return with_kernels_as_weights(expand_nodes(graph, partial(_opened, graph)))


def _makes_masks(node: Node) -> bool:
    return node.op.kind is keras.layers.Masking or bool(node.op.config.get("mask_zero"))


def _opened(graph: Graph, node: Node, key: int) -> list[Node]:
    """The nodes of an own layer, the last with the layer's key; the layer itself where it stays."""
    if not _is_candidate(graph, node):
        return [node]
    attempts = ((dtype, by_tensorflow) for dtype in ("float64", "float32") for by_tensorflow in (False, True))
    parts = (_read(node, replace(graph.spec(node.inputs[0]), dtype=dtype), which) for dtype, which in attempts)
    part = next((part for part in parts if part is not None), None)
    return [node] if part is None else list(_placed(part, node, key))


def _is_candidate(graph: Graph, node: Node) -> bool:
    op = node.op
    if op.template is not None or not op.weights or not is_custom_code(op.kind) or _holds_norms(op):
        return False
    is_plain = len(node.args) == 1 and len(node.inputs) == 1 and not node.kwargs and len(node.outputs) == 1
    return is_plain and isinstance(node.args[0], Ref) and graph.spec(node.args[0]).is_float


def _holds_norms(op: Op) -> bool:
    is_norm = issubclass(op.kind, keras.layers.BatchNormalization)
    return is_norm or (op.unreadable is not None and bool(op.unreadable.norms))


def _read(node: Node, spec: TensorInfo, by_tensorflow: bool) -> Graph | None:
    """The layer as a graph of one input and one output; None where it cannot be read, or holds no constant kernel."""
    try:
        with warnings.catch_warnings(), policy(spec.dtype):
            warnings.simplefilter("ignore")
            part = _traced(node.op, spec, by_tensorflow)
    except Exception:  # whatever somebody's code or TensorFlow raises: the layer stays as it is
        return None
    is_whole = len(part.nodes) > 0 and part.output_refs[0] == part.nodes[-1].ref and len(part.nodes[-1].outputs) == 1
    return part if is_whole and any(map(has_constant_kernel, part.nodes)) else None


def _traced(op: Op, spec: TensorInfo, by_tensorflow: bool) -> Graph:
    """The graph of a copy's call, on a symbolic tensor or as TensorFlow has it."""
    layer = instantiate(op, op.name, spec.dtype)
    layer(keras.KerasTensor(spec.shape, spec.dtype))
    assign_weights(layer, op)
    call = TensorFlowCall(layer, spec.shape, spec.dtype)  # refuses what changes from call to call, in either case
    if by_tensorflow:
        layer.call = lambda tensor, **_: call.repeated(tensor)
    tracer, source = Tracer(layer, spec.dtype), Ref(INPUT, 0)
    tracer.specs[source] = spec
    output = tracer.symbolic(layer, (source,), {}, op.path)
    return Graph(op.name, live_nodes(tracer.nodes, [output]), (spec,), (tracer.specs[output],), (output,), 0, 0)


def _placed(part: Graph, layer: Node, key: int) -> Iterator[Node]:
    """The nodes of a part with keys from ``key`` on, reading what the layer read; the last has the layer's key."""
    part = with_kernels_as_weights(part)
    *_, last = part.nodes
    keys = {node.key: layer.key if node is last else key + position for position, node in enumerate(part.nodes)}
    hosts = [node for node in part.nodes if node.op.weights]
    for node in part.nodes:
        placed = _narrowed(part, node).rewired(lambda ref: layer.inputs[0] if ref.is_input else Ref(keys[ref.node]))
        outputs = layer.outputs if node is last else tuple(replace(o, dtype="float32") for o in node.outputs)
        path = layer.op.path if hosts == [node] else node.op.path
        yield replace(placed, key=keys[node.key], outputs=outputs, op=replace(placed.op, path=path))


def _narrowed(part: Graph, node: Node) -> Node:
    """The node with its constants in float32, unless the fold takes them as a map."""
    if affine_layer_op(part, node) is not None:
        return node
    args, kwargs = keras.tree.map_structure(_as_float32, (node.args, dict(node.kwargs)))
    return replace(node, args=args, kwargs=kwargs)


def _as_float32(leaf: Any) -> Any:
    is_wide = isinstance(leaf, np.ndarray | np.floating) and leaf.dtype == np.float64
    return leaf.astype(np.float32) if is_wide else leaf
