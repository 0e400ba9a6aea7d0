"""Convolutions and products of keras.ops with a constant kernel, as the layers that fold: y = x * K is Conv's own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..graph import Graph, Node, Op, Ref, Weight, operations
from ..graph.ir import Shape

_L = keras.layers
_CONVOLUTIONS = {3: _L.Conv1D, 4: _L.Conv2D, 5: _L.Conv3D}
_DEPTHWISE = {3: _L.DepthwiseConv1D, 4: _L.DepthwiseConv2D}
_TRANSPOSED = {3: _L.Conv1DTranspose, 4: _L.Conv2DTranspose, 5: _L.Conv3DTranspose}


def with_kernels_as_weights(graph: Graph) -> Graph:
    """The graph in which each such operation is a layer without bias, its kernel in the precision that it has."""
    return replace(graph, nodes=tuple(_as_layer(graph, node) for node in graph.nodes))


def has_constant_kernel(node: Node) -> bool:
    """True if a node is an operation of this kind."""
    return operations.name_of(node.op) in _LAYERS and _kernel(node) is not None


def _as_layer(graph: Graph, node: Node) -> Node:
    kernel = _kernel(node)
    make = _LAYERS.get(operations.name_of(node.op) or "")
    if make is None or kernel is None:
        return node
    layer = make(node, graph.spec(node.inputs[0]).shape, kernel)
    return node if layer is None else replace(node, op=layer, args=(node.args[0],), kwargs={})


def _kernel(node: Node) -> Any:
    """The constant that is the second argument of an operation; None where it is not one, or there are more."""
    arguments = [*node.args, *node.kwargs.values()]
    is_pair = len(arguments) == 2 and isinstance(arguments[0], Ref) and len(node.args) >= 1
    return arguments[1] if is_pair and isinstance(arguments[1], np.ndarray) else None


def _convolution(node: Node, shape: Shape, kernel: Any) -> Op | None:
    if len(shape) not in _CONVOLUTIONS or shape[-1] is None or _is_channels_first(node):
        return None
    groups = shape[-1] // kernel.shape[-2]  # as Keras reads them off the channels
    config = {"filters": kernel.shape[-1], "kernel_size": kernel.shape[:-2], "groups": groups}
    return _layer(node, _CONVOLUTIONS[len(shape)], config, kernel)


def _depthwise(node: Node, shape: Shape, kernel: Any) -> Op | None:
    if len(shape) not in _DEPTHWISE or _is_channels_first(node):
        return None
    config = {"depth_multiplier": kernel.shape[-1], "kernel_size": kernel.shape[:-2]}
    return _layer(node, _DEPTHWISE[len(shape)], config, kernel)


def _transposed(node: Node, shape: Shape, kernel: Any) -> Op | None:
    if len(shape) not in _TRANSPOSED or _is_channels_first(node):
        return None
    padding = node.op.template.output_padding
    config = {"filters": kernel.shape[-2], "kernel_size": kernel.shape[:-2], "output_padding": padding}
    return _layer(node, _TRANSPOSED[len(shape)], config, kernel)


def _dense(node: Node, shape: Shape, kernel: Any) -> Op | None:
    if len(shape) < 2 or kernel.ndim != 2:
        return None
    config = {"name": node.op.name, "dtype": "float32", "units": kernel.shape[-1], "use_bias": False}
    return Op(node.op.path, _L.Dense, config, (Weight("kernel", kernel),))


def _layer(node: Node, kind: type[Any], config: Mapping[str, Any], kernel: Any) -> Op:
    operation = node.op.template
    settings = {name: getattr(operation, name) for name in ("strides", "padding", "dilation_rate")}
    sizes = {"data_format": "channels_last", "use_bias": False, "name": node.op.name, "dtype": "float32"}
    return Op(node.op.path, kind, {**sizes, **settings, **config}, (Weight("kernel", kernel),))


def _is_channels_first(node: Node) -> bool:
    return bool(node.op.template.data_format == "channels_first")


_LAYERS: Mapping[str, Callable[[Node, Shape, Any], Op | None]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthwiseConv": _depthwise,
    "Dot": _dense,
    "Matmul": _dense,
}
