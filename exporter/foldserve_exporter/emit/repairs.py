"""Repairs of a converted model: passes over what tf2onnx leaves wrong or unfinished."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from foldserve_contract.signature import Array

from .decompositions import decompose
from .fusions import apply_rewrite, drop_unused, fuse
from .sign_bits import compare_reciprocals

_SPATIAL = (2, 3)


def repair(model: Any) -> None:
    """Changes the model in place, pass by pass.

    Fuses what ONNX has a single node for; rewrites sign bits and decomposes other operations that ONNX lacks; names
    the sizes of `Resize`, which rounding would spoil; and keeps padding that ONNX Runtime would lose.
    """
    fuse(model)
    apply_rewrite(model, compare_reciprocals)
    decompose(model.graph)
    _set_resize_sizes(model)
    _keep_padding_before_pooling(model)


def restore_captured_weights(model: Any, captured: Mapping[str, Array]) -> None:
    """Changes the model in place: captured tensors that tf2onnx made inputs, required of callers, become weights."""
    graph = model.graph
    inputs = [value for value in graph.input if value.name not in captured]
    weights = [value.name for value in graph.input if value.name in captured]
    del graph.input[:]
    graph.input.extend(inputs)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(captured[name]), name) for name in weights)


def _set_resize_sizes(model: Any) -> None:
    """Gives Resize its sizes where they are known, not scales: 9/22 in float32 makes 8 rows of 22 where 9 were meant.

    All four sizes are named, batch and channels as they come: with two alone, ONNX Runtime (1.31) moves a transposition
    across the Resize as if it had four, and does not load the file.
    """
    resizes = [node for node in model.graph.node if node.op_type == "Resize" and len(node.input) == 3]
    if not resizes:
        return
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = _image_shapes(model)
    inserted: dict[str, list[Any]] = {}  # nodes to stand before each Resize, by its output
    for node in resizes:
        source_shape = shapes.get(node.input[0])
        if source_shape is None or node.input[2] not in constants:
            continue
        scales = numpy_helper.to_array(constants[node.input[2]])
        sizes = np.array([round(float(scales[axis]) * source_shape[axis]) for axis in _SPATIAL], np.int64)
        kept, resized, name = (f"{node.name}/{part}" for part in ("batch_and_channels", "height_and_width", "sizes"))
        model.graph.initializer.append(numpy_helper.from_array(sizes, resized))
        inserted[node.output[0]] = [
            helper.make_node("Shape", [node.input[0]], [kept], kept, start=0, end=len(_SPATIAL)),
            helper.make_node("Concat", [kept, resized], [name], name, axis=0),
        ]
        node.input[:] = [node.input[0], "", "", name]
    nodes = [part for node in model.graph.node for part in (*inserted.get(node.output[0], ()), node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model.graph)


def _keep_padding_before_pooling(model: Any) -> None:
    """Names the axes of a Pad before MaxPool, so that ONNX Runtime (1.31) does not fuse the two.

    The fused MaxPool pads with −∞ instead of 0, which is wrong for values below 0.
    """
    readers = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Pad" and len(node.input) < 4 and _reaches_pooling(node.output[0], readers):
            axes = np.arange(constants[node.input[1]].dims[0] // 2, dtype=np.int64)
            model.graph.initializer.append(numpy_helper.from_array(axes, f"{node.name}/axes"))
            data, pads, *value = node.input
            node.input[:] = [data, pads, *(value or [""]), f"{node.name}/axes"]


def _reaches_pooling(name: str, readers: Mapping[str, list[Any]]) -> bool:
    return any(
        node.op_type == "MaxPool" or (node.op_type == "Transpose" and _reaches_pooling(node.output[0], readers))
        for node in readers[name]
    )


def _image_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """The shape of every image-like tensor (batch, channels, height, width) whose height and width are fixed."""
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes: dict[str, tuple[int, ...]] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input):
        shape = tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
        if len(shape) == 4 and all(shape[axis] > 0 for axis in _SPATIAL):
            shapes[value.name] = shape
    return shapes
