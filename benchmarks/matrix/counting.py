"""Counts of arithmetic in a SavedModel and in an ONNX file."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ARITHMETIC = ("Mul", "Add", "Sub", "Div", "Rsqrt", "Sqrt", "Reciprocal")
"""What BatchNormalization is made of, in whatever words a format has for it."""
_ONE_NAME = {"AddV2": "Add", "RealDiv": "Div", "DivNoNan": "Div"}
_INTEGERS = (3, 9)
"""TensorFlow's int32 and int64: sizes and indices."""
_FUSED = ("FusedBatchNorm", "BatchNormalization")
PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime")


def versions() -> dict[str, str]:
    """Of everything that makes or reads the files."""
    return {package: version(package) for package in PACKAGES}


def saved_model(path: Path) -> dict[str, int]:
    """Nodes of the serving function once every function that it calls is inlined and its variables are constants.

    `convert_variables_to_constants_v2` inlines; it leaves arithmetic as it is. A BiasAdd is no Add, and the addition of
    a constant vector to what a convolution or matrix product answers is counted as the bias that it is.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures["serving_default"]
    graph = convert_variables_to_constants_v2(function, lower_control_flow=False).graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    nodes = [node for node in nodes if node.attr["T"].type not in _INTEGERS]
    found = Counter(_ONE_NAME.get(node.op, node.op) for node in nodes)
    biases = _biases({node.name: node for node in graph.node})
    found["Add"] -= biases
    return {**_arithmetic(found), "bias": biases + found["BiasAdd"]}


def _biases(nodes: Mapping[str, Any]) -> int:
    """Additions of a constant to the answer of a convolution or matrix product: SavedModels have no other bias."""

    def behind(name: str) -> Any:
        node = nodes.get(name.split(":")[0].lstrip("^"))
        while node is not None and node.op in ("Identity", "Reshape", "Squeeze", "ExpandDims", "BatchToSpaceND"):
            node = nodes.get(node.input[0].split(":")[0])
        return node

    hosts = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum")
    hosts += ("Conv2DBackpropInput", "Conv3DBackpropInputV2", "XlaDot")
    count = 0
    for node in nodes.values():
        if node.op in ("Add", "AddV2"):
            kinds = [getattr(behind(name), "op", "") for name in node.input[:2]]
            count += "Const" in kinds and any(kind in hosts for kind in kinds)
    return count


def onnx_model(path: Path) -> dict[str, int]:
    """Nodes of an ONNX file, those of its functions and of the bodies of loops and branches too."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    integers = _integers(model)
    found: Counter[str] = Counter()
    for graph in (model.graph, *model.functions):
        found.update(node.op_type for node in _all_nodes(graph) if node.output[0] not in integers)
    return _arithmetic(found)


def _integers(model: Any) -> set[str]:
    """Tensors of whole numbers: sizes and indices."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    return {value.name for value in inferred.value_info if value.type.tensor_type.elem_type in kinds}


def between_tensors(path: Path) -> dict[str, int]:
    """Arithmetic of two tensors that are both computed from the input: what the model itself asks for."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    integers = _integers(model)
    fixed = {tensor.name for tensor in model.graph.initializer}
    found: Counter[str] = Counter()
    for node in model.graph.node:
        known = [name in fixed for name in node.input if name]
        if node.op_type == "Constant" or (known and all(known)):
            fixed.update(node.output)
        elif node.op_type in ARITHMETIC and node.output[0] not in integers and len(known) == 2 and not any(known):
            found[node.op_type] += 1
    return dict(found)


def _all_nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _arithmetic(found: Mapping[str, int]) -> dict[str, int]:
    left = {kind: found[kind] for kind in ARITHMETIC if found.get(kind)}
    fused = sum(count for kind, count in found.items() if kind.startswith(_FUSED))
    return {**left, "BatchNorm": fused} if fused else left
