"""TF32 emulation: the ONNX model as a GPU computes it whose factors have ten bits of mantissa.

Products are still summed in float32. c − (c − x) with c = x·(2^13 + 1) is x rounded to its eleven leading bits, the
implicit one included (Veltkamp's splitting; Dekker, "A floating-point technique for extending the available precision",
1971). Every step of it is an ordinary operation, so that any engine gives those bits with its optimisations off.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from foldserve_contract.signature import Array

from ..errors import Refused

SPLIT = np.float32((1 << 13) + 1)
_FACTORS = {"Conv": 2, "ConvTranspose": 2, "MatMul": 2, "Gemm": 2}
_MULTIPLY_INSIDE = frozenset({"Einsum", "LSTM", "GRU", "RNN", "If", "Loop", "Scan"})
_CONSTANT = "tf32/split"


def round_to_tf32(array: Array) -> Array:
    """The nearest numbers of ten bits of mantissa; NaN beyond 4e34."""
    with np.errstate(over="ignore", invalid="ignore"):
        wide = array * SPLIT
        return np.asarray(wide - (wide - array), np.float32)


def with_tf32(content: bytes) -> bytes:
    """The model with all factors of its products rounded to TF32.

    Raises:
        Refused: An operation multiplies internally, where factors cannot be rounded; the message names the operations.
    """
    model = onnx.load_from_string(content)
    inside = sorted({node.op_type for node in model.graph.node} & _MULTIPLY_INSIDE)
    if inside:
        raise Refused(f"TF32 cannot be verified for a model with {', '.join(inside)}: export it without --tf32")
    _round_factors(model.graph)
    return bytes(model.SerializeToString())


def _round_factors(graph: Any) -> None:
    weights = {weight.name: weight for weight in graph.initializer}
    rounded: dict[str, str] = {}
    nodes: list[Any] = []

    def name_of(tensor: str) -> str:
        if tensor not in rounded:
            rounded[tensor] = f"{tensor}/tf32"
            if tensor in weights:
                graph.initializer.append(_rounded_weight(weights[tensor], rounded[tensor]))
            else:
                nodes.extend(_rounding_nodes(tensor, rounded[tensor]))
        return rounded[tensor]

    for node in list(graph.node):
        _replace_factors(node, name_of)
        nodes.append(node)
    graph.initializer.append(numpy_helper.from_array(SPLIT, _CONSTANT))
    del graph.node[:]
    graph.node.extend(nodes)


def _rounded_weight(weight: Any, name: str) -> Any:
    array = numpy_helper.to_array(weight)
    return numpy_helper.from_array(round_to_tf32(array) if array.dtype == np.float32 else array, name)


def _replace_factors(node: Any, name_of: Callable[[str], str]) -> None:
    for index in range(_FACTORS.get(node.op_type, 0)):
        node.input[index] = name_of(node.input[index])


def _rounding_nodes(tensor: str, rounded: str) -> Iterator[Any]:
    wide, low = f"{rounded}/wide", f"{rounded}/low"
    yield helper.make_node("Mul", [tensor, _CONSTANT], [wide])
    yield helper.make_node("Sub", [wide, tensor], [low])
    yield helper.make_node("Sub", [wide, low], [rounded])
