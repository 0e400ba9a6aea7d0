"""MultiHeadAttention as a host: three input kernels (query, key, value) and an output kernel."""

from dataclasses import replace

import keras
import numpy as np

from ..graph import Node, Op, Ref, Weight
from .arithmetic import Affine, Array, along, backward_last_axis
from .refusal import Refusal, RefusalReason

ATTENTION = keras.layers.MultiHeadAttention
_READ = ("query", "key", "value")
_PARTS = (*_READ, "output")
_OUTPUT = 3
Pair = tuple[Array, Array | None]


def absorb_attention(node: Node, axis: int, affine: Affine) -> Op | Refusal:
    """Absorb the map behind it into the output's kernel (heads, size, out) and bias."""
    pairs = _pairs(node.op)
    if pairs is None or axis != len(node.outputs[0].shape) - 1:
        return _refusal(node)
    kernel, bias = pairs[_OUTPUT]
    pairs[_OUTPUT] = backward_last_axis(kernel, bias, affine)
    return _with(node.op, pairs)


def forward_attention(node: Node, position: int, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    """Absorb the map before it into the kernels (in, heads, size) that read it: k' = k·s, b' = b + Σ k·t.

    Where a call has no key argument, the value is the key as well.
    """
    pairs, names = _pairs(node.op), _arguments(node)
    name = names[position] if position < len(names) else None
    if pairs is None or name not in _READ or axis != rank - 1:
        return _refusal(node)
    for part in ("key", "value") if name == "value" and "key" not in names else (name,):
        at = _PARTS.index(part)
        kernel, bias = pairs[at]
        if affine.has_shift:
            added = np.tensordot(affine.shift, kernel.astype(np.float64), axes=1)
            bias = added if bias is None else bias + added
        pairs[at] = kernel.astype(np.float64) * along(affine.scale, 0, kernel.ndim), bias
    return _with(node.op, pairs)


def _arguments(node: Node) -> list[str | None]:
    """The argument name of each input of a call."""
    arguments = [*zip(("query", "value", "key"), node.args, strict=False), *node.kwargs.items()]
    return [name for name, value in arguments if isinstance(value, Ref)]


def _pairs(op: Op) -> list[Pair] | None:
    """Kernel and bias of query, key, value and output; None for a layer with other weights."""
    values = [weight.value for weight in op.weights]
    if [weight.name for weight in op.weights] == ["kernel", "bias"] * len(_PARTS):
        return list(zip(values[::2], values[1::2], strict=True))
    return [(value, None) for value in values] if len(values) == len(_PARTS) else None


def _with(op: Op, pairs: list[Pair]) -> Op:
    """The op with these kernels and biases: all parts get a bias if any has one."""
    biased = any(bias is not None for _, bias in pairs)
    weights: list[Weight] = []
    for at, (kernel, bias) in enumerate(pairs):
        weights.append(Weight("kernel", kernel))
        if biased:
            shape = kernel.shape[-1:] if at == _OUTPUT else kernel.shape[1:]
            weights.append(Weight("bias", np.zeros(shape) if bias is None else bias))
    return replace(op, config={**op.config, "use_bias": biased}, weights=tuple(weights))


def _refusal(node: Node) -> Refusal:
    return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} has no kernel for that input and axis")
