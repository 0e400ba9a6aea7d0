"""Forward rules: hosts that absorb the affine map before them.

Zero padding is why a shift is often refused: the padded zeros come after the map, so near the border a shifted input
would count for less than the bias indicates. A scale passes through zeros unharmed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from ..graph import Node, Op
from . import arithmetic
from .activations import is_activation
from .arithmetic import Affine, Array
from .attention import ATTENTION, forward_attention
from .backward import with_weights
from .einsum import forward_einsum
from .recurrent import CELLS, forward_recurrent
from .refusal import Refusal, RefusalReason, no_host
from .wrappers import absorb_wrapped

_L = keras.layers
Rule = Callable[[Node, int, int, Affine], Op | Refusal]


def absorb_forward(node: Node, position: int, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    """The op of ``node`` that absorbs the map on its input's ``axis`` (of ``rank`` axes), or a refusal.

    The shift of ``affine`` is absorbed whole or the host refuses; a map without shift asks for the scale alone.
    """
    if node.op.kind is _L.TimeDistributed:
        return absorb_wrapped(node, lambda inner: absorb_forward(inner, position, axis, rank, affine))
    if node.op.kind is ATTENTION:
        return forward_attention(node, position, axis, rank, affine)
    if node.op.kind in (*CELLS, _L.Bidirectional):
        return forward_recurrent(node, position, axis, affine)
    rule = _RULES.get(node.op.kind)
    if rule is None:
        return _no_rule(node.op)
    if axis != _input_axis(node, rank) and node.op.kind is not _L.EinsumDense:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} reads its channels along another axis than {axis}")
    if not {w.name for w in node.op.weights} <= {"kernel", "bias", "depthwise_kernel", "pointwise_kernel"}:
        return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} holds weights other than kernel and bias")
    return rule(node, axis, rank, affine)


def _no_rule(op: Op) -> Refusal:
    if is_activation(op):
        return Refusal(RefusalReason.ACTIVATION, f"it must come before the activation {op.path}")
    return no_host(op)


def _input_axis(node: Node, rank: int) -> int:
    return 1 if node.op.config.get("data_format") == "channels_first" else rank - 1


def _pads(op: Op) -> bool:
    """True if a convolution reads zeros beyond its input's border."""
    sizes = op.config["kernel_size"]
    ones = all(size == 1 for size in ([sizes] if isinstance(sizes, int) else sizes))
    return op.config["padding"] != "valid" and not ones


def _refuses_shift(op: Op, affine: Affine) -> Refusal | None:
    if affine.has_shift and _pads(op):
        return Refusal(
            RefusalReason.PADDING,
            f"{op.path} pads with zeros (padding={op.config['padding']!r}), which a shift must not reach",
            f"put it behind {op.path}",
        )
    return None


def _conv(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    kernel, groups = _kernel(node.op, "kernel"), int(node.op.config.get("groups", 1))
    folded = arithmetic.forward_kernel(kernel, affine, groups)
    if not affine.has_shift:
        return with_weights(node.op, {"kernel": folded})
    bias = arithmetic.forward_bias(kernel, node.op.weight("bias"), affine, groups)
    return _refuses_shift(node.op, affine) or with_weights(node.op, {"kernel": folded, "bias": bias})


def _depthwise(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    kernel = _kernel(node.op, "kernel")
    folded = arithmetic.forward_depthwise_kernel(kernel, affine)
    if not affine.has_shift:
        return with_weights(node.op, {"kernel": folded})
    bias = arithmetic.forward_depthwise_bias(kernel, node.op.weight("bias"), affine)
    return _refuses_shift(node.op, affine) or with_weights(node.op, {"kernel": folded, "bias": bias})


def _separable(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    depthwise, pointwise = _kernel(node.op, "depthwise_kernel"), _kernel(node.op, "pointwise_kernel")
    folded = arithmetic.forward_depthwise_kernel(depthwise, affine)
    if not affine.has_shift:
        return with_weights(node.op, {"depthwise_kernel": folded})
    middle = arithmetic.forward_depthwise_bias(depthwise, None, affine)
    bias = arithmetic.forward_bias(pointwise, node.op.weight("bias"), Affine(np.ones_like(middle), middle))
    return _refuses_shift(node.op, affine) or with_weights(node.op, {"depthwise_kernel": folded, "bias": bias})


def _transposed(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    if affine.has_shift:
        return Refusal(
            RefusalReason.POSITION,
            f"what a shift adds behind the transposed convolution {node.op.path} depends on the position",
            f"put it behind {node.op.path}",
        )
    folded = arithmetic.backward_axis(_kernel(node.op, "kernel"), affine, -1)
    return with_weights(node.op, {"kernel": folded})


def _dense(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    kernel = _kernel(node.op, "kernel")
    folded = arithmetic.forward_kernel(kernel, affine)
    if not affine.has_shift:
        return with_weights(node.op, {"kernel": folded})
    return with_weights(
        node.op, {"kernel": folded, "bias": arithmetic.forward_bias(kernel, node.op.weight("bias"), affine)}
    )


def _kernel(op: Op, name: str) -> Array:
    value = op.weight(name)
    assert value is not None
    return value


_RULES: Mapping[type[Any], Rule] = {
    **dict.fromkeys((_L.Conv1D, _L.Conv2D, _L.Conv3D), _conv),
    **dict.fromkeys((_L.DepthwiseConv1D, _L.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((_L.SeparableConv1D, _L.SeparableConv2D), _separable),
    **dict.fromkeys((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), _transposed),
    _L.Dense: _dense,
    _L.EinsumDense: forward_einsum,
}
