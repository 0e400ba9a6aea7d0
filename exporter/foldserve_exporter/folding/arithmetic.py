"""Formulas of the fold, on arrays alone: float64 inside, rounded once, where the result is stored.

An affine map is y = s·x + t with one s and one t per channel. BatchNormalization in inference is such a map (Ioffe and
Szegedy, 2015, algorithm 2). Kernels have Keras' axes: (…, in, out), depthwise (…, in, multiplier), transposed
(…, out, in).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


_GREATEST = 1e30
_MODERATE = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """y = scale·x + shift, one value of each per channel, both of shape (channels,)."""

    scale: Floats
    shift: Floats

    @property
    def channels(self) -> int:
        """The number of channels of the map."""
        return int(self.scale.size)

    @property
    def has_shift(self) -> bool:
        """True if any channel is shifted."""
        return bool(np.any(self.shift != 0))

    @property
    def has_scale(self) -> bool:
        """True if any channel is scaled by something other than one."""
        return bool(np.any(self.scale != 1))

    @property
    def is_identity(self) -> bool:
        """True if nothing is changed."""
        return not self.has_scale and not self.has_shift

    @property
    def is_moderate(self) -> bool:
        """True if every scale can be divided by without a loss."""
        size = np.abs(self.scale)
        return bool(np.all((size < _MODERATE) & (size > 1 / _MODERATE)))

    @property
    def keeps_order(self) -> bool:
        """True if greater inputs never give smaller outputs, so that a maximum may be taken before or after."""
        return bool(np.all(self.scale >= 0))


def from_statistics(gamma: Array | None, beta: Array | None, mean: Array, variance: Array, epsilon: float) -> Affine:
    """BatchNormalization in inference: s = γ/√(σ²+ε), t = β − μ·s; γ = 1 and β = 0 where absent."""
    wide = np.asarray(mean, np.float64)
    gain = np.ones_like(wide) if gamma is None else np.asarray(gamma, np.float64)
    offset = np.zeros_like(wide) if beta is None else np.asarray(beta, np.float64)
    scale = gain / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    return Affine(scale, offset - wide * scale)


def compose(first: Affine, then: Affine) -> Affine:
    """Map for two in a row: s = s₂·s₁, t = s₂·t₁ + t₂."""
    return Affine(then.scale * first.scale, then.scale * first.shift + then.shift)


def inverse(affine: Affine) -> Affine:
    """The inverse of a map: x = y/s − t/s; no scale is zero."""
    return Affine(1 / affine.scale, -affine.shift / affine.scale)


def split_shift(affine: Affine) -> Affine | None:
    """The shift before the scale, u in s·x + t = s·(x + u): u = t/s; None where float32 cannot hold a channel's."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        shift = affine.shift / affine.scale
    return Affine(np.ones_like(affine.scale), shift) if np.all(np.abs(shift) < _GREATEST) else None


def shift_only(affine: Affine) -> Affine:
    """The same map without its scale."""
    return Affine(np.ones_like(affine.scale), affine.shift)


def scale_only(affine: Affine) -> Affine:
    """The same map without its shift."""
    return Affine(affine.scale, np.zeros_like(affine.shift))


def backward_last_axis(kernel: Array, bias: Array | None, affine: Affine) -> tuple[Floats, Floats]:
    """A kernel whose output channel is the last axis absorbs the map behind it: k' = k·s, b' = b·s + t."""
    return np.asarray(kernel, np.float64) * affine.scale, backward_bias(bias, affine)


def backward_depthwise(kernel: Array, bias: Array | None, affine: Affine) -> tuple[Floats, Floats]:
    """A depthwise kernel (…, in, multiplier): k' = k·s with s as (in, multiplier), b' = b·s + t."""
    scale = affine.scale.reshape(kernel.shape[-2:])
    return np.asarray(kernel, np.float64) * scale, backward_bias(bias, affine)


def backward_transposed(kernel: Array, bias: Array | None, affine: Affine) -> tuple[Floats, Floats]:
    """A transposed convolution's kernel (…, out, in): k' = k·s on the last axis but one, b' = b·s + t."""
    return np.asarray(kernel, np.float64) * affine.scale[:, None], backward_bias(bias, affine)


def backward_axis(kernel: Array, affine: Affine, axis: int) -> Floats:
    """A kernel whose output channel is any one axis: k' = k·s along it."""
    return np.asarray(kernel, np.float64) * along(affine.scale, axis, kernel.ndim)


def backward_bias(bias: Array | None, affine: Affine) -> Floats:
    """A bias absorbs scale and shift: b' = b·s + t; b = 0 where absent."""
    return affine.shift.copy() if bias is None else np.asarray(bias, np.float64) * affine.scale + affine.shift


def forward_kernel(kernel: Array, affine: Affine, groups: int = 1) -> Floats:
    """A kernel (…, in/groups, out) absorbs the scale before it: k' = k·s on the input axis, by group of outputs."""
    return np.asarray(kernel, np.float64) * _per_group(affine.scale, kernel, groups)


def forward_bias(kernel: Array, bias: Array | None, affine: Affine, groups: int = 1) -> Floats:
    """A kernel (…, in/groups, out) absorbs the shift before it: b' = b + Σ k·t over taps and inputs."""
    shifted = np.asarray(kernel, np.float64) * _per_group(affine.shift, kernel, groups)
    added: Floats = shifted.sum(axis=tuple(range(kernel.ndim - 1)))
    return added if bias is None else np.asarray(bias, np.float64) + added


def forward_depthwise_kernel(kernel: Array, affine: Affine) -> Floats:
    """A depthwise kernel (…, in, multiplier): k' = k·s on the input axis."""
    return np.asarray(kernel, np.float64) * affine.scale[:, None]


def forward_depthwise_bias(kernel: Array, bias: Array | None, affine: Affine) -> Floats:
    """A depthwise kernel (…, in, multiplier): b' = b + Σ k·t over the taps, flattened to in·multiplier outputs."""
    shifted = np.asarray(kernel, np.float64) * affine.shift[:, None]
    added: Floats = shifted.sum(axis=tuple(range(kernel.ndim - 2))).reshape(-1)
    return added if bias is None else np.asarray(bias, np.float64) + added


def along(values: Array, axis: int, rank: int) -> Floats:
    """A vector shaped so that it broadcasts along one axis of a tensor of some rank."""
    shape = [1] * rank
    shape[axis] = -1
    return np.asarray(values, np.float64).reshape(shape)


def _per_group(values: Floats, kernel: Array, groups: int) -> Floats:
    """Values per input channel as (in/groups, out): outputs come in ``groups`` equal blocks, each of its own inputs."""
    blocks = values.reshape(groups, -1)
    spread: Floats = np.repeat(blocks, kernel.shape[-1] // groups, axis=0).T
    return spread
