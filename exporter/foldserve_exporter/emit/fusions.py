"""Fusions: nodes that tf2onnx writes as several and ONNX has as one (a product with its bias, HardSigmoid, HardSwish).

A rewrite yields, by the first output of a node, the nodes that replace it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_MATRIX = 2


def fuse(model: Any) -> None:
    """Fuses nodes in place; every tensor that is left has the values that it had."""
    for rewrite in (_erf_from_erfc, _matmul_biases, _convolution_biases, _hard_sigmoids, _hard_swishes):
        apply_rewrite(model, rewrite)


def apply_rewrite(model: Any, rewrite: "Callable[[GraphIndex], Replacements]") -> None:
    """Changes the model in place by one rewrite."""
    _replace_nodes(model.graph, dict(rewrite(GraphIndex(model))))


class GraphIndex:
    """Index of a graph: producers and number of uses of every tensor, constants and inferred shapes."""

    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.producers = {name: node for node in self.graph.node for name in node.output}
        self._reads = Counter(used_names(self.graph))
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._model = model

    def producer(self, name: str, kind: str) -> Any | None:
        """The node of type ``kind`` that makes a tensor with a single use; None where there is none."""
        node = self.producers.get(name)
        return node if node is not None and node.op_type == kind and self._reads[name] == 1 else None

    def constant_operand(self, node: Any) -> tuple[NDArray[Any], str, str] | None:
        """The value and name of a binary node's constant operand, and the other's name; None without a constant."""
        for name, other in (node.input, node.input[::-1]):
            value = self.value(name)
            if value is not None:
                return value, name, other
        return None

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a constant; None for weights in external data."""
        producer, tensor = self.producers.get(name), self.constants.get(name)
        if tensor is not None:
            is_external = tensor.data_location == TensorProto.EXTERNAL
            return None if is_external else np.asarray(numpy_helper.to_array(tensor))
        if producer is not None and producer.op_type == "Constant" and producer.attribute[0].name == "value":
            return np.asarray(numpy_helper.to_array(producer.attribute[0].t))
        return None

    def weight_shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a weight, external data included."""
        tensor = self.constants.get(name)
        return None if tensor is None else tuple(tensor.dims)

    def is_filled_with(self, name: str, number: float) -> bool:
        """True if every element of a constant is the number."""
        value = self.value(name)
        return value is not None and value.dtype.kind == "f" and bool(np.all(value == np.float32(number)))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The inferred shape of a tensor, 0 where a size is dynamic; None where it is unknown."""
        if self._shapes is None:
            inferred = onnx.shape_inference.infer_shapes(self._model).graph
            values = (*inferred.value_info, *inferred.input, *inferred.output)
            self._shapes = {
                info.name: tuple(dimension.dim_value for dimension in info.type.tensor_type.shape.dim)
                for info in values
                if info.type.tensor_type.HasField("shape")
            }
        return self._shapes.get(name)


def used_names(graph: Any) -> Iterator[str]:
    """Every name that is read, in the bodies of loops and branches too; repeated for each use."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from used_names(inner)


Replacements = Iterator[tuple[str, list[Any]]]
"""By the first output of a node, the nodes that replace it; none where another replacement computes its output."""


def _matmul_biases(index: GraphIndex) -> Replacements:
    """Fuses MatMul of matrices and Add, with or without a Reshape between them, into Gemm."""
    for add in index.graph.node:
        # match: a constant bias added to a product, perhaps through a Reshape
        parts = index.constant_operand(add) if add.op_type == "Add" else None
        if parts is None:
            continue
        bias, name, summed = parts
        reshape = index.producer(summed, "Reshape")
        product = index.producer(summed if reshape is None else reshape.input[0], "MatMul")
        flat = None if product is None else _flat_bias(index, bias, product, summed)
        if product is None or flat is None:
            continue
        # replace: the Gemm in place of the product, then the Reshape in its own place
        if flat.shape != bias.shape:
            name = f"{add.name}/flat"
            index.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(flat), name))
        output = add.output[0] if reshape is None else product.output[0]
        yield product.output[0], [helper.make_node("Gemm", [*product.input, name], [output], f"{add.name}/Gemm")]
        yield add.output[0], []
        if reshape is not None:
            moved = helper.make_node("Reshape", list(reshape.input), [add.output[0]], reshape.name)
            moved.attribute.extend(reshape.attribute)
            yield reshape.output[0], [moved]


def _convolution_biases(index: GraphIndex) -> Replacements:
    """Fuses a constant added to a convolution into its bias, also behind the Squeeze of a 1D convolution."""
    for add in index.graph.node:
        # match: a constant of one value per channel added to a convolution without bias, perhaps through a Squeeze
        parts = index.constant_operand(add) if add.op_type == "Add" else None
        if parts is None:
            continue
        squeeze = index.producer(parts[2], "Squeeze")
        name = parts[2] if squeeze is None else squeeze.input[0]
        conv = index.producer(name, "Conv") or index.producer(name, "ConvTranspose")
        if conv is None or len(conv.input) > 2 or parts[0].shape != _bias_shape(index, conv, squeeze):
            continue
        # replace: the convolution with its bias, then the Squeeze in its own place
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
    """The shape of a bias where it is added: (1, channels, 1, …), less the axes that were squeezed."""
    kernel = index.weight_shape(conv.input[1])
    axes = np.zeros(0) if squeeze is None else index.value(squeeze.input[1]) if len(squeeze.input) > 1 else None
    if kernel is None or axes is None or np.any(axes < _MATRIX):
        return None
    groups = next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
    channels = kernel[0] if conv.op_type == "Conv" else kernel[1] * groups
    return (1, channels, *(1,) * (len(kernel) - len(axes) - _MATRIX))


def _flat_bias(index: GraphIndex, bias: NDArray[Any], product: Any, summed: str) -> NDArray[Any] | None:
    """The bias as a vector of one value for each column of the product; None where it is something else."""
    left, right = index.shape(product.input[0]), index.weight_shape(product.input[1]) or index.shape(product.input[1])
    if left is None or right is None or len(left) != _MATRIX or len(right) != _MATRIX:
        return None
    own = bias.shape[next((axis for axis, size in enumerate(bias.shape) if size != 1), bias.ndim - 1) :]
    producer = index.producers[summed]
    requested = _requested_sizes(index, producer.input[1]) if producer.op_type == "Reshape" else ()
    shapes = [index.shape(summed) or (), requested]
    if not own or bias.size != right[1] or not any(shape[-len(own) :] == own for shape in shapes):
        return None
    return bias.reshape(-1)


def _requested_sizes(index: GraphIndex, name: str) -> tuple[int, ...]:
    """The last of the sizes in a Reshape's target shape, as far as they are constant."""
    value, producer = index.value(name), index.producers.get(name)
    if value is not None:
        return tuple(int(size) for size in value)
    if producer is not None and producer.op_type in ("Cast", "Concat"):
        return _requested_sizes(index, producer.input[-1])
    return ()


def _erf_from_erfc(index: GraphIndex) -> Replacements:
    """Rewrites erfc(−x·c), which TensorFlow's exact GELU has, as 1 + erf(x·c)."""
    for erfc in index.graph.node:
        scaled = index.producer(erfc.input[0], "Mul") if erfc.op_type == "Erfc" else None
        parts = None if scaled is None else index.constant_operand(scaled)
        negated = None if parts is None else index.producer(parts[2], "Neg")
        if scaled is None or parts is None or negated is None:
            continue
        unit, erf = f"{erfc.name}/one", f"{erfc.name}/erf"
        index.graph.initializer.append(numpy_helper.from_array(np.ones((), parts[0].dtype), unit))
        yield negated.output[0], []
        factors = [negated.input[0], parts[1]]
        yield scaled.output[0], [helper.make_node("Mul", factors, list(scaled.output), scaled.name)]
        yield (
            erfc.output[0],
            [
                helper.make_node("Erf", list(erfc.input), [erf], f"{erfc.name}/Erf"),
                helper.make_node("Add", [unit, erf], list(erfc.output), f"{erfc.name}/Add"),
            ],
        )


def _hard_sigmoids(index: GraphIndex) -> Replacements:
    """Fuses min(max(x + 3, 0), 6)/6 into HardSigmoid."""
    for scaled in index.graph.node:
        # match from the end: the scale of 1/6, the Clip to [0, 6], the addition of 3
        parts = index.constant_operand(scaled) if scaled.op_type == "Mul" else None
        clip = None if parts is None or not np.all(parts[0] == np.float32(1 / 6)) else index.producer(parts[2], "Clip")
        add = index.producer(clip.input[0], "Add") if clip is not None and _clips_to_6(index, clip) else None
        shifted = None if add is None else index.constant_operand(add)
        if clip is None or add is None or shifted is None or not _adds_3(index, shifted, add):
            continue
        # replace: the HardSigmoid in place of the scale
        gate = helper.make_node("HardSigmoid", [shifted[2]], list(scaled.output), scaled.name, alpha=1 / 6, beta=0.5)
        yield add.output[0], []
        yield clip.output[0], []
        yield scaled.output[0], [gate]


def _clips_to_6(index: GraphIndex, clip: Any) -> bool:
    return len(clip.input) > 2 and index.is_filled_with(clip.input[1], 0) and index.is_filled_with(clip.input[2], 6)


def _adds_3(index: GraphIndex, shifted: tuple[NDArray[Any], str, str], add: Any) -> bool:
    """True if a single 3 is added that does not broadcast the other operand."""
    is_three = shifted[0].size == 1 and index.is_filled_with(shifted[1], 3)
    return is_three and index.shape(shifted[2]) == index.shape(add.output[0])


def _hard_swishes(index: GraphIndex) -> Replacements:
    """Fuses the product of x and its HardSigmoid into HardSwish."""
    for product in index.graph.node:
        if product.op_type != "Mul":
            continue
        for value, gated in (product.input, product.input[::-1]):
            gate = index.producer(gated, "HardSigmoid")
            if gate is not None and gate.input[0] == value:
                yield gated, []
                yield product.output[0], [helper.make_node("HardSwish", [value], list(product.output), product.name)]
                break


def _replace_nodes(graph: Any, replaced: dict[str, list[Any]]) -> None:
    nodes = [new for node in graph.node for new in replaced.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)


def drop_unused(graph: Any) -> None:
    """Removes unused constants, for which ONNX Runtime would log a warning at every load.

    The others stay where they are: protobuf would keep the memory of copied ones until the model is freed.
    """
    used = set(used_names(graph))
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]
