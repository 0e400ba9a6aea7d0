"""Calls of TensorFlow's own functions, repeated with keras.ops: what a layer computes as TensorFlow's graph has it.

Whatever does not depend on the layer's input is computed at once: a kernel that is made of weights is a constant.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from ..graph.random_ops import RANDOM_OP
from ..graph.unreadable_layer import UnreadableCall

_ops = keras.ops
_WRITES = ("Assign", "ResourceApply", "ResourceScatter")


class TensorFlowCall:
    """One trace of a layer's call in inference, on one tensor.

    Raises:
        UnreadableCall: TensorFlow cannot trace it, or its answers change from call to call.
    """

    def __init__(self, layer: Any, shape: tuple[int | None, ...], dtype: str) -> None:
        self._function = tf.compat.v1.wrap_function(lambda x: layer(x, training=False), [tf.TensorSpec(shape, dtype)])
        for operation in self._function.graph.get_operations():
            if RANDOM_OP.search(operation.type) or operation.type.startswith(_WRITES):
                raise UnreadableCall(f"it calls {operation.type}")
        (self._input,) = self._function.inputs[:1]
        self._dependent = _dependent_operations(self._input)

    def repeated(self, tensor: Any) -> Any:
        """The result for another tensor, a symbolic one, by keras.ops.

        Raises:
            UnreadableCall: An operation on the way has no counterpart; the message names it.
        """
        (output,) = self._function.outputs
        values: dict[int, Any] = {id(self._input): tensor}
        return self._value(output, values)

    def _value(self, tensor: Any, values: dict[int, Any]) -> Any:
        if id(tensor) not in values:
            is_constant = tensor.op not in self._dependent
            values[id(tensor)] = self._constant(tensor) if is_constant else self._applied(tensor.op, values)
        return values[id(tensor)]

    def _constant(self, tensor: Any) -> Any:
        return self._function.prune([], tensor)().numpy()

    def _applied(self, operation: Any, values: dict[int, Any]) -> Any:
        # a convolution over a series is one over images of a single row
        if operation.type == "Squeeze" and (source := _row_convolution(operation)) is not None:
            image, kernel = (
                self._value(tensor, values) for tensor in (source.inputs[0].op.inputs[0], source.inputs[1])
            )
            return _ops.conv(image, kernel[0], **_settings(source, slice(2, 3)))
        apply = _COUNTERPARTS.get(operation.type)
        if apply is None or len(operation.outputs) != 1:
            raise UnreadableCall(f"it calls {operation.type}")
        return apply(operation, *(self._value(tensor, values) for tensor in operation.inputs))


def _dependent_operations(tensor: Any) -> set[Any]:
    """Every operation that reads a tensor, or what is made of it."""
    dependent: set[Any] = {tensor.op}
    pending = list(tensor.consumers())
    while pending:
        operation = pending.pop()
        if operation not in dependent:
            dependent.add(operation)
            pending.extend(reader for output in operation.outputs for reader in output.consumers())
    return dependent


def _row_convolution(squeeze: Any) -> Any | None:
    """The Conv2D that `tf.nn.conv1d` makes of a series, before the Squeeze of its single row; None for another."""
    source = squeeze.inputs[0].op
    is_row = source.type == "Conv2D" and source.inputs[0].op.type == "ExpandDims" and source.inputs[0].shape[1] == 1
    return source if is_row and list(squeeze.get_attr("squeeze_dims")) in ([-3], [1]) else None


def _convolution(operation: Any, images: Any, kernel: Any) -> Any:
    return _ops.conv(images, kernel, **_settings(operation, slice(1, -1)))


def _depthwise(operation: Any, images: Any, kernel: Any) -> Any:
    return _ops.depthwise_conv(images, kernel, **_settings(operation, slice(1, -1)))


def _settings(operation: Any, spatial: slice) -> dict[str, Any]:
    padding, layout = (operation.get_attr(name).decode() for name in ("padding", "data_format"))
    if padding == "EXPLICIT" or layout not in ("NHWC", "NDHWC"):
        raise UnreadableCall(f"it calls {operation.type} with {padding} padding on {layout}")
    strides, dilation = (tuple(operation.get_attr(name)[spatial]) for name in ("strides", "dilations"))
    return {"strides": strides, "dilation_rate": dilation, "padding": padding.lower(), "data_format": "channels_last"}


def _product(operation: Any, left: Any, right: Any) -> Any:
    if any(operation.get_attr(name) for name in ("transpose_a", "transpose_b")):
        raise UnreadableCall("it calls MatMul on a transposed matrix")
    return _ops.matmul(left, right)


def _padded(mode: str) -> Callable[..., Any]:
    def pad(operation: Any, x: Any, paddings: Any, value: Any = None) -> Any:
        chosen = operation.get_attr("mode").decode().lower() if mode == "mirror" else mode
        return _ops.pad(x, paddings.tolist(), mode=chosen, constant_values=value)

    return pad


def _leaky(operation: Any, x: Any) -> Any:
    return _ops.leaky_relu(x, negative_slope=operation.get_attr("alpha"))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *tensors: function(*tensors)


_COUNTERPARTS: Mapping[str, Callable[..., Any]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "LeakyRelu": _leaky,
    "MatMul": _product,
    "MirrorPad": _padded("mirror"),
    "Pad": _padded("constant"),
    "PadV2": _padded("constant"),
    **{name: _plain(lambda x: x) for name in ("Identity", "StopGradient")},
    **{name: _plain(_ops.add) for name in ("Add", "AddV2", "BiasAdd")},
    "Mul": _plain(_ops.multiply),
    "RealDiv": _plain(_ops.true_divide),
    "Sub": _plain(_ops.subtract),
    **{name.title(): _plain(getattr(_ops, name)) for name in ("elu", "relu", "selu", "sigmoid", "softplus", "tanh")},
    "Relu6": _plain(_ops.relu6),
}
