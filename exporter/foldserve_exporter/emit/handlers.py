"""Conversion handlers for tf2onnx, of operations that its own handlers convert inexactly."""

from typing import Any

from onnx import TensorProto
from tf2onnx.onnx_opset.controlflow import Select
from tf2onnx.onnx_opset.math import FloorDiv, FloorMod

_SIGNED = (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64)


def handlers() -> dict[str, tuple[Any, list[Any]]]:
    """Handlers by the type of a TensorFlow operation, in tf2onnx' form of ``custom_op_handlers``."""
    return {
        "Select": (_select, []),
        "SelectV2": (_select, []),
        "FloorDiv": (_floor_div, []),
        "FloorMod": (_floor_mod, []),
    }


def _select(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """Converts a choice between two tensors into Where.

    tf2onnx writes c·x + (1 − c)·y where it sees no NaN, which is NaN as soon as the tensor not chosen is infinite.
    """
    node.set_attr("handles_nan", True)
    Select.version_9(context, node)
    node.attr.pop("handles_nan", None)


def _floor_mod(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """Converts a remainder of integers into ONNX' Mod, of the divisor's sign too; tf2onnx' quotient rounds to 0."""
    if context.get_dtype(node.input[0]) in _SIGNED:
        node.type = "Mod"
    else:
        FloorMod.version_7(context, node)


def _floor_div(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """Converts a floor division of integers into (x − x mod y)/y, which has no remainder; ONNX' Div rounds to 0."""
    kind = context.get_dtype(node.input[0])
    if kind not in _SIGNED:
        FloorDiv.version_6(context, node)
        return
    dividend, divisor = node.input
    remainder = context.make_node("Mod", [dividend, divisor], dtypes=[kind])
    multiple = context.make_node("Sub", [dividend, remainder.output[0]], dtypes=[kind])
    node.type = "Div"
    context.replace_inputs(node, [multiple.output[0], divisor])
