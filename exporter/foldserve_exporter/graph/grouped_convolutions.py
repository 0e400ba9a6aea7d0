"""Lowering of grouped convolutions: on a CPU TensorFlow runs them only through XLA, which no ONNX file can hold."""

import keras
import numpy as np

from . import operations
from .elementwise import split_activations
from .ir import Graph, Node, Op, Ref, TensorInfo, Weight, expand_nodes

_L = keras.layers
_CONVOLUTIONS = (_L.Conv1D, _L.Conv2D, _L.Conv3D)
_DEPTHWISE = {_L.Conv1D: _L.DepthwiseConv1D, _L.Conv2D: _L.DepthwiseConv2D}


def lower_grouped_convolutions(graph: Graph) -> Graph:
    """The graph with every grouped convolution as a depthwise convolution, or as one convolution for each group."""
    graph = split_activations(graph, _is_grouped)  # softmax, for one, works over the channels of all groups
    return expand_nodes(graph, lambda node, key: _lower(graph, node, key) if _is_grouped(node.op) else [node])


def _is_grouped(op: Op) -> bool:
    return op.kind in _CONVOLUTIONS and int(op.config.get("groups", 1)) > 1


def _lower(graph: Graph, node: Node, key: int) -> list[Node]:
    channels = graph.spec(node.inputs[0]).shape[-1]
    if node.op.config["groups"] == channels and node.op.kind in _DEPTHWISE and _has_equal_strides(node.op):
        return [_depthwise(node, int(channels or 0))]
    return _split_by_group(node, int(channels or 0), key)


def _has_equal_strides(op: Op) -> bool:
    strides, dilation = (np.atleast_1d(op.config[name]) for name in ("strides", "dilation_rate"))
    return len(set(strides.tolist())) == 1 and (strides.max() == 1 or dilation.max() == 1)


def _depthwise(node: Node, channels: int) -> Node:
    """Kernel (…, 1, in·multiplier) as (…, in, multiplier): the outputs of a group are adjacent in both."""
    op, config = node.op, dict(node.op.config)
    for name in ("filters", "groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
        config.pop(name, None)
    multiplier = int(op.config["filters"]) // channels
    weights = tuple(
        Weight(w.name, w.value.reshape(*w.value.shape[:-2], channels, multiplier)) if w.name == "kernel" else w
        for w in op.weights
    )
    kind = _DEPTHWISE[op.kind]
    return node.with_op(Op(op.path, kind, {**config, "depth_multiplier": multiplier}, weights))


def _split_by_group(node: Node, channels: int, key: int) -> list[Node]:
    groups, path = int(node.op.config["groups"]), node.op.path
    parts = TensorInfo("", (None,), node.outputs[0].dtype)
    split = Node(
        key, operations.split(f"{path}/split", groups, len(node.outputs[0].shape)), node.args, {}, (parts,) * groups
    )
    members = [_group_convolution(node, group, groups, split, key + 1 + group) for group in range(groups)]
    join = Op(path, _L.Concatenate, {"name": node.op.name, "axis": -1, "dtype": "float32"})
    return [split, *members, node.with_op(join, ([member.ref for member in members],))]


def _group_convolution(node: Node, group: int, groups: int, split: Node, key: int) -> Node:
    filters = int(node.op.config["filters"]) // groups
    own = slice(group * filters, (group + 1) * filters)
    config = {**node.op.config, "filters": filters, "groups": 1}
    weights = tuple(Weight(w.name, w.value[..., own]) for w in node.op.weights)
    op = Op(f"{node.op.path}/group_{group}", node.op.kind, config, weights)
    return Node(key, op, (Ref(split.key, group),), {}, node.outputs)
