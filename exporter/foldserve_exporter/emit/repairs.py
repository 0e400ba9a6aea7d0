"""What tf2onnx leaves wrong or undone in a converted model, put right."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from foldserve_contract.signature import Array

from .decompositions import decompose
from .fusions import apply_rewrite, fuse, used_names
from .sign_bits import compare_reciprocals

_SPATIAL = (2, 3)


def repair(model: Any) -> None:
    """Changes the model in place.

    What ONNX has a node for; signs and other operations that it lacks; sizes of `Resize` that rounding spoils; and
    padding that ONNX Runtime would lose.
    """
    fuse(model)
    apply_rewrite(model, compare_reciprocals)
    decompose(model.graph)
    _exact_sizes(model)
    _keep_padding_before_pooling(model)


def keep_captured(model: Any, captured: Mapping[str, Array]) -> None:
    """Changes the model in place: what tf2onnx made an input, for every caller to give, is a weight again."""
    graph = model.graph
    asked = [value for value in graph.input if value.name not in captured]
    held = [value.name for value in graph.input if value.name in captured]
    del graph.input[:]
    graph.input.extend(asked)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(captured[name]), name) for name in held)


def _exact_sizes(model: Any) -> None:
    """A scale of 9/22 in float32 makes 8 rows of 22 where 9 were meant: where the sizes are known they are named.

    All four are, batch and channels as they come: where only two axes are, ONNX Runtime (1.31) moves a transposition
    across that it takes for one of four sizes, and does not load the file.
    """
    resizes = [node for node in model.graph.node if node.op_type == "Resize" and len(node.input) == 3]
    if not resizes:
        return
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = _shapes(model)
    before_it: dict[str, list[Any]] = {}
    for node in resizes:
        before = shapes.get(node.input[0])
        if before is None or node.input[2] not in constants:
            continue
        scales = numpy_helper.to_array(constants[node.input[2]])
        sizes = np.array([round(float(scales[axis]) * before[axis]) for axis in _SPATIAL], np.int64)
        kept, wanted, name = (f"{node.name}/{part}" for part in ("batch_and_channels", "height_and_width", "sizes"))
        model.graph.initializer.append(numpy_helper.from_array(sizes, wanted))
        before_it[node.output[0]] = [
            helper.make_node("Shape", [node.input[0]], [kept], kept, start=0, end=len(_SPATIAL)),
            helper.make_node("Concat", [kept, wanted], [name], name, axis=0),
        ]
        node.input[:] = [node.input[0], "", "", name]
    nodes = [part for node in model.graph.node for part in (*before_it.get(node.output[0], ()), node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model.graph)


def drop_unused(graph: Any) -> None:
    """Leaves out the constants that nobody reads, of which ONNX Runtime would complain at every load."""
    read = set(used_names(graph))
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _keep_padding_before_pooling(model: Any) -> None:
    """ONNX Runtime (1.31) makes Pad with 0 and MaxPool one MaxPool, which pads with −∞: wrong below 0.

    It leaves a Pad alone that names its axes.
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


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """The sizes of every image-like tensor (batch, channels, height, width) whose height and width are fixed."""
    inferred = onnx.shape_inference.infer_shapes(model)
    found: dict[str, tuple[int, ...]] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.input):
        shape = tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
        if len(shape) == 4 and all(shape[axis] > 0 for axis in _SPATIAL):
            found[value.name] = shape
    return found
