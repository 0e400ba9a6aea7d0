"""Operations that tf2onnx converts into something else than they are, converted as they are."""

from typing import Any

from onnx import TensorProto
from tf2onnx.onnx_opset.controlflow import Select
from tf2onnx.onnx_opset.math import FloorDiv, FloorMod

_SIGNED = (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64)


def handlers() -> dict[str, tuple[Any, list[Any]]]:
    """By the kind of a TensorFlow operation, what converts it, as tf2onnx wants to be told."""
    return {
        "Select": (_select, []),
        "SelectV2": (_select, []),
        "FloorDiv": (_floor_div, []),
        "FloorMod": (_floor_mod, []),
    }


def _select(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """A choice between two tensors is a Where.

    tf2onnx makes it c·x + (1 − c)·y where it sees no NaN, which is NaN as soon as what is not chosen is infinite.
    """
    node.set_attr("handles_nan", True)
    Select.version_9(context, node)
    node.attr.pop("handles_nan", None)


def _floor_mod(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """Of whole numbers ONNX' Mod, which has the divisor's sign too; tf2onnx takes the quotient that rounds to 0."""
    if context.get_dtype(node.input[0]) in _SIGNED:
        node.type = "Mod"
    else:
        FloorMod.version_7(context, node)


def _floor_div(context: Any, node: Any, _name: str, _arguments: object) -> None:
    """Of whole numbers (x − x mod y)/y, which leaves nothing to round; ONNX' Div rounds to 0."""
    kind = context.get_dtype(node.input[0])
    if kind not in _SIGNED:
        FloorDiv.version_6(context, node)
        return
    dividend, divisor = node.input
    rest = context.make_node("Mod", [dividend, divisor], dtypes=[kind])
    multiple = context.make_node("Sub", [dividend, rest.output[0]], dtypes=[kind])
    node.type = "Div"
    context.replace_inputs(node, [multiple.output[0], divisor])
