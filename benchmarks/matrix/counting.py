"""Counts of arithmetic in a SavedModel and in an ONNX file."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ARITHMETIC = ("Mul", "Add", "Sub", "Div", "Rsqrt", "Sqrt", "Reciprocal")
"""Operations that BatchNormalization consists of, by each format's names."""
_ONE_NAME = {"AddV2": "Add", "RealDiv": "Div", "DivNoNan": "Div"}
_INTEGERS = (3, 9)
"""TensorFlow's int32 and int64: sizes and indices."""
_CONSTANTS = ("Const", "ReadVariableOp")
_PRODUCTS = (
    "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2",
    "MatMul", "BatchMatMulV2", "Einsum", "XlaConvV2",
)  # fmt: skip
_FUSED = ("FusedBatchNorm", "BatchNormalization")
PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime")


def versions() -> dict[str, str]:
    """Of everything that makes or reads the files."""
    return {package: version(package) for package in PACKAGES}


def require_loading(path: Path) -> None:
    """Errors of the libraries that read such a file."""
    import onnxruntime
    import tensorflow as tf

    if path.is_dir():
        tf.saved_model.load(str(path))
    else:
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def saved_model(path: Path) -> dict[str, int]:
    """Nodes of the serving function, every function that it calls written out in its place, as often as it is called.

    A BiasAdd is no Add, and the addition of a variable or a constant to what a convolution or a matrix product answers
    is counted as the bias that it is.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    served = next(iter(graph.signature_def["serving_default"].outputs.values())).name.split(":")[0]
    call = next(node for node in graph.graph_def.node if node.name == served)
    counts: Counter[str] = Counter()
    _inline([call], functions, counts)
    return _arithmetic(counts)


def _inline(nodes: Any, functions: Mapping[str, Any], counts: Counter[str]) -> None:
    """Counts nodes of floating point; those of functions in place of their calls, of loops and branches once."""
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        called = [item.func.name for item in node.attr.values() if item.func.name in functions]
        for name in called:
            _inline(_live(functions[name]), functions, counts)
        if not called and node.attr["T"].type not in _INTEGERS:
            kind = _ONE_NAME.get(node.op, node.op)
            counts["bias" if kind == "BiasAdd" or (kind == "Add" and _is_bias(node, by_name)) else kind] += 1


def _live(function: Any) -> list[Any]:
    """The nodes that its answers depend on: Keras calls a recurrent cell once more, to see what it answers."""
    nodes = {node.name: node for node in function.node_def}
    waiting = [*function.ret.values(), *function.control_ret.values()]
    live: dict[str, Any] = {}
    while waiting:
        name = waiting.pop().lstrip("^").split(":")[0]
        if name in nodes and name not in live:
            live[name] = nodes[name]
            waiting.extend(nodes[name].input)
    return list(live.values())


def _is_bias(addition: Any, nodes: Mapping[str, Any]) -> bool:
    kinds = [_kind_behind(name, nodes) for name in addition.input[:2]]
    return any(kind in _CONSTANTS for kind in kinds) and any(kind in _PRODUCTS for kind in kinds)


def _kind_behind(name: str, nodes: Mapping[str, Any]) -> str:
    """The operation that makes a tensor, before it is only put into another shape."""
    node = nodes.get(name.split(":")[0].lstrip("^"))
    while node is not None and node.op in ("Identity", "Reshape", "Squeeze", "ExpandDims", "BatchToSpaceND"):
        node = nodes.get(node.input[0].split(":")[0])
    return "" if node is None else str(node.op)


def onnx_model(path: Path) -> dict[str, int]:
    """Nodes of an ONNX file, those of its functions and of the bodies of loops and branches too."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    integers = _integers(model)
    counts: Counter[str] = Counter()
    for graph in (model.graph, *model.functions):
        counts.update(node.op_type for node in _all_nodes(graph) if node.output[0] not in integers)
    return _arithmetic(counts)


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
    counts: Counter[str] = Counter()
    for node in model.graph.node:
        expected = [name in fixed for name in node.input if name]
        if node.op_type == "Constant" or (expected and all(expected)):
            fixed.update(node.output)
        elif node.op_type in ARITHMETIC and node.output[0] not in integers and len(expected) == 2 and not any(expected):
            counts[node.op_type] += 1
    return dict(counts)


def _all_nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _arithmetic(counts: Mapping[str, int]) -> dict[str, int]:
    left = {kind: counts[kind] for kind in (*ARITHMETIC, "bias") if counts.get(kind)}
    fused = sum(count for kind, count in counts.items() if kind.startswith(_FUSED))
    return {**left, "BatchNorm": fused} if fused else left
