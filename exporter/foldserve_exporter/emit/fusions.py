"""Nodes that tf2onnx writes as several and ONNX has as one: a product with its bias, hard-sigmoid, hard-swish."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_MATRIX = 2


def fuse(model: Any) -> None:
    """Changes the model in place; every tensor that is left has the values that it had."""
    for rewrite in (_normal_distributions, _biases, _convolution_biases, _hard_sigmoids, _hard_swishes):
        apply_rewrite(model, rewrite)


def apply_rewrite(model: Any, rewrite: "Callable[[GraphIndex], Replacements]") -> None:
    """Changes the model in place by one rewriting."""
    _replace_nodes(model.graph, dict(rewrite(GraphIndex(model))))


class GraphIndex:
    """Who makes and who reads what."""

    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self._reads = Counter(used_names(self.graph))
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._model = model

    def maker(self, name: str, kind: str) -> Any | None:
        """The node of a kind that makes a tensor which nobody else reads."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind and self._reads[name] == 1 else None

    def split(self, node: Any) -> tuple[NDArray[Any], str, str] | None:
        """Of a node of two inputs, one of them constant: its value and name, and the other's name."""
        for name, other in (node.input, node.input[::-1]):
            value = self.value(name)
            if value is not None:
                return value, name, other
        return None

    def value(self, name: str) -> NDArray[Any] | None:
        """What a constant holds; None for weights that lie in a file of their own."""
        maker, tensor = self.makers.get(name), self.constants.get(name)
        if tensor is not None:
            is_beside = tensor.data_location == TensorProto.EXTERNAL
            return None if is_beside else np.asarray(numpy_helper.to_array(tensor))
        if maker is not None and maker.op_type == "Constant" and maker.attribute[0].name == "value":
            return np.asarray(numpy_helper.to_array(maker.attribute[0].t))
        return None

    def sizes(self, name: str) -> tuple[int, ...] | None:
        """The shape of a weight, wherever it lies."""
        tensor = self.constants.get(name)
        return None if tensor is None else tuple(tensor.dims)

    def holds(self, name: str, number: float) -> bool:
        """True if a constant is a number, or that number over and over."""
        value = self.value(name)
        return value is not None and value.dtype.kind == "f" and bool(np.all(value == np.float32(number)))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The inferred shape of a tensor, 0 where a size is free; None where nothing is known."""
        if self._shapes is None:
            inferred = onnx.shape_inference.infer_shapes(self._model).graph
            values = (*inferred.value_info, *inferred.input, *inferred.output)
            self._shapes = {
                each.name: tuple(dimension.dim_value for dimension in each.type.tensor_type.shape.dim)
                for each in values
                if each.type.tensor_type.HasField("shape")
            }
        return self._shapes.get(name)


def used_names(graph: Any) -> Iterator[str]:
    """Every name that is read, by the bodies of loops and branches too."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from used_names(inner)


Replacements = Iterator[tuple[str, list[Any]]]
"""By the first output of a node, the nodes that stand in its place; none where another one does its work."""


def _biases(index: GraphIndex) -> Replacements:
    """MatMul of matrices and Add, with or without a Reshape between them: one Gemm."""
    for add in index.graph.node:
        parts = index.split(add) if add.op_type == "Add" else None
        if parts is None:
            continue
        bias, name, summed = parts
        reshape = index.maker(summed, "Reshape")
        product = index.maker(summed if reshape is None else reshape.input[0], "MatMul")
        wanted = None if product is None else _flat_bias(index, bias, product, summed)
        if product is None or wanted is None:
            continue
        if wanted.shape != bias.shape:
            name = f"{add.name}/flat"
            index.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(wanted), name))
        output = add.output[0] if reshape is None else product.output[0]
        yield product.output[0], [helper.make_node("Gemm", [*product.input, name], [output], f"{add.name}/Gemm")]
        yield add.output[0], []
        if reshape is not None:
            moved = helper.make_node("Reshape", list(reshape.input), [add.output[0]], reshape.name)
            moved.attribute.extend(reshape.attribute)
            yield reshape.output[0], [moved]


def _convolution_biases(index: GraphIndex) -> Replacements:
    """What is added to a convolution is its bias, behind the Squeeze too that makes a series of an image of one row."""
    for add in index.graph.node:
        parts = index.split(add) if add.op_type == "Add" else None
        if parts is None:
            continue
        squeeze = index.maker(parts[2], "Squeeze")
        name = parts[2] if squeeze is None else squeeze.input[0]
        conv = index.maker(name, "Conv") or index.maker(name, "ConvTranspose")
        if conv is None or len(conv.input) > 2 or parts[0].shape != _bias_shape(index, conv, squeeze):
            continue
        bias = f"{add.name}/flat"
        index.graph.initializer.append(numpy_helper.from_array(parts[0].reshape(-1).copy(), bias))
        output = add.output if squeeze is None else conv.output
        biased = helper.make_node(conv.op_type, [*conv.input, bias], list(output), conv.name)
        biased.attribute.extend(conv.attribute)
        yield conv.output[0], [biased]
        yield add.output[0], []
        if squeeze is not None:
            yield squeeze.output[0], [helper.make_node("Squeeze", list(squeeze.input), list(add.output), squeeze.name)]


def _bias_shape(index: GraphIndex, conv: Any, squeeze: Any | None) -> tuple[int, ...] | None:
    """The shape that a bias has where it is added: (1, channels, 1, …), less the axes that were squeezed."""
    kernel = index.sizes(conv.input[1])
    axes = np.zeros(0) if squeeze is None else index.value(squeeze.input[1]) if len(squeeze.input) > 1 else None
    if kernel is None or axes is None or np.any(axes < _MATRIX):
        return None
    groups = next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
    channels = kernel[0] if conv.op_type == "Conv" else kernel[1] * groups
    return (1, channels, *(1,) * (len(kernel) - len(axes) - _MATRIX))


def _flat_bias(index: GraphIndex, bias: NDArray[Any], product: Any, summed: str) -> NDArray[Any] | None:
    """The bias as one value for each column of the product, if that is what it is."""
    left, right = index.shape(product.input[0]), index.sizes(product.input[1]) or index.shape(product.input[1])
    if left is None or right is None or len(left) != _MATRIX or len(right) != _MATRIX:
        return None
    own = bias.shape[next((axis for axis, size in enumerate(bias.shape) if size != 1), bias.ndim - 1) :]
    made = index.makers[summed]
    known = [index.shape(summed) or (), _requested_sizes(index, made.input[1]) if made.op_type == "Reshape" else ()]
    if not own or bias.size != right[1] or not any(shape[-len(own) :] == own for shape in known):
        return None
    return bias.reshape(-1)


def _requested_sizes(index: GraphIndex, name: str) -> tuple[int, ...]:
    """The last of the sizes that a Reshape is asked for, as far as they are constant."""
    value, maker = index.value(name), index.makers.get(name)
    if value is not None:
        return tuple(int(size) for size in value)
    if maker is not None and maker.op_type in ("Cast", "Concat"):
        return _requested_sizes(index, maker.input[-1])
    return ()


def _normal_distributions(index: GraphIndex) -> Replacements:
    """TensorFlow's exact GELU has erfc(−x·c), which is 1 + erf(x·c)."""
    for erfc in index.graph.node:
        scaled = index.maker(erfc.input[0], "Mul") if erfc.op_type == "Erfc" else None
        parts = None if scaled is None else index.split(scaled)
        negated = None if parts is None else index.maker(parts[2], "Neg")
        if scaled is None or parts is None or negated is None:
            continue
        one, erf = f"{erfc.name}/one", f"{erfc.name}/erf"
        index.graph.initializer.append(numpy_helper.from_array(np.ones((), parts[0].dtype), one))
        yield negated.output[0], []
        factors = [negated.input[0], parts[1]]
        yield scaled.output[0], [helper.make_node("Mul", factors, list(scaled.output), scaled.name)]
        yield (
            erfc.output[0],
            [
                helper.make_node("Erf", list(erfc.input), [erf], f"{erfc.name}/Erf"),
                helper.make_node("Add", [one, erf], list(erfc.output), f"{erfc.name}/Add"),
            ],
        )


def _hard_sigmoids(index: GraphIndex) -> Replacements:
    """min(max(x + 3, 0), 6)/6."""
    for scaled in index.graph.node:
        parts = index.split(scaled) if scaled.op_type == "Mul" else None
        clip = None if parts is None or not np.all(parts[0] == np.float32(1 / 6)) else index.maker(parts[2], "Clip")
        if clip is None or len(clip.input) < 3 or not (index.holds(clip.input[1], 0) and index.holds(clip.input[2], 6)):
            continue
        add = index.maker(clip.input[0], "Add")
        shifted = None if add is None else index.split(add)
        if add is None or shifted is None or not index.holds(shifted[1], 3) or not _keeps_shape(index, shifted, add):
            continue
        gate = helper.make_node("HardSigmoid", [shifted[2]], list(scaled.output), scaled.name, alpha=1 / 6, beta=0.5)
        yield add.output[0], []
        yield clip.output[0], []
        yield scaled.output[0], [gate]


def _keeps_shape(index: GraphIndex, shifted: tuple[NDArray[Any], str, str], add: Any) -> bool:
    """True if the constant does not stretch what it is added to."""
    return shifted[0].size == 1 and index.shape(shifted[2]) == index.shape(add.output[0])


def _hard_swishes(index: GraphIndex) -> Replacements:
    """X times its hard-sigmoid."""
    for product in index.graph.node:
        if product.op_type != "Mul":
            continue
        for value, gated in (product.input, product.input[::-1]):
            gate = index.maker(gated, "HardSigmoid")
            if gate is not None and gate.input[0] == value:
                yield gated, []
                yield product.output[0], [helper.make_node("HardSwish", [value], list(product.output), product.name)]
                break


def _replace_nodes(graph: Any, replaced: dict[str, list[Any]]) -> None:
    nodes = [new for node in graph.node for new in replaced.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    used = set(used_names(graph))
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
