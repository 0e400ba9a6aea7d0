"""Backward rules: hosts that absorb the affine map behind them, one function per kind; formulas in `arithmetic`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from ..graph import Node, Op, Weight
from . import arithmetic, gains_and_tables
from .activations import activation, is_activation, is_linear, passes_scale
from .arithmetic import Affine, Array
from .attention import ATTENTION, absorb_attention
from .einsum import absorb_einsum
from .refusal import Refusal, RefusalReason, no_host
from .wrappers import absorb_wrapped

_L = keras.layers


def absorb_backward(node: Node, axis: int, affine: Affine) -> Op | Refusal:
    """The op of ``node`` that absorbs the affine map on its output's ``axis``, or a refusal."""
    if node.op.kind is _L.TimeDistributed:
        return absorb_wrapped(node, lambda inner: absorb_backward(inner, axis, affine))
    rule = _RULES.get(node.op.kind)
    if rule is None:
        return _no_rule(node.op)
    if not is_linear(node.op) and not passes_scale(node.op, affine):
        return Refusal(
            RefusalReason.ACTIVATION,
            f"{node.op.path} applies its activation {activation(node.op)!r} before the normalization",
            f"put it between {node.op.path} and that activation",
        )
    return rule(node, axis, affine)


def _no_rule(op: Op) -> Refusal:
    if is_activation(op) or op.template is not None:
        message = f"{op.path} ({op.kind.__name__}) is not linear"
        return Refusal(RefusalReason.NOT_A_HOST, message, f"put it before {op.path}")
    return no_host(op)


def channel_axis(node: Node) -> int:
    """The axis of a layer's channels in its output."""
    return 1 if node.op.config.get("data_format") == "channels_first" else len(node.outputs[0].shape) - 1


def with_weights(op: Op, values: Mapping[str, Array]) -> Op:
    """The op with some weights replaced, and with a bias where it gained one."""
    order = [weight.name for weight in op.weights]
    order += [name for name in values if name not in order]
    weights = tuple(Weight(n, values[n] if n in values else _stored(op, n)) for n in order)
    return replace(op, config={**op.config, "use_bias": "bias" in order}, weights=weights)


def _stored(op: Op, name: str) -> Array:
    value = op.weight(name)
    assert value is not None
    return value


Formula = Callable[[Array, Array | None, Affine], tuple[Array, Array]]


def _kernel_rule(formula: Formula, kernel: str = "kernel") -> Callable[[Node, int, Affine], Op | Refusal]:
    def rule(node: Node, axis: int, affine: Affine) -> Op | Refusal:
        if axis != channel_axis(node):
            message = f"it normalizes axis {axis}, not the channel axis of {node.op.path}"
            return Refusal(RefusalReason.OTHER_AXIS, message, f"normalize axis {channel_axis(node)}")
        stored = node.op.weight(kernel)
        if stored is None or not {w.name for w in node.op.weights} <= _KERNEL_AND_BIAS:
            return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} holds weights other than kernel and bias")
        folded, bias = formula(stored, node.op.weight("bias"), affine)
        return with_weights(node.op, {kernel: folded, "bias": bias})

    return rule


_KERNEL_AND_BIAS = {"kernel", "bias", "depthwise_kernel", "pointwise_kernel"}

_RULES: Mapping[type[Any], Callable[[Node, int, Affine], Op | Refusal]] = {
    **dict.fromkeys((_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Dense), _kernel_rule(arithmetic.backward_last_axis)),
    **dict.fromkeys((_L.DepthwiseConv1D, _L.DepthwiseConv2D), _kernel_rule(arithmetic.backward_depthwise)),
    **dict.fromkeys(
        (_L.SeparableConv1D, _L.SeparableConv2D), _kernel_rule(arithmetic.backward_last_axis, kernel="pointwise_kernel")
    ),
    **dict.fromkeys(
        (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), _kernel_rule(arithmetic.backward_transposed)
    ),
    _L.EinsumDense: absorb_einsum,
    ATTENTION: absorb_attention,
    **gains_and_tables.RULES,
}
