"""EinsumDense as a host: the letters of its equation identify the channel axis of kernel and bias."""

import re
from dataclasses import dataclass, replace

import numpy as np

from ..graph import Node, Op, Weight
from .arithmetic import Affine, Array, Floats, along, backward_axis
from .refusal import Refusal, RefusalReason

_EQUATION = re.compile(r"(\.\.\.)?([A-Za-z]+)(\.\.\.)?,([A-Za-z]+)->(\.\.\.)?([A-Za-z]+)(\.\.\.)?")


@dataclass(frozen=True, slots=True)
class Equation:
    """The letters of input, kernel and output; ``left`` and ``right`` are True if an ellipsis is on that side."""

    input: str
    kernel: str
    output: str
    left: bool
    right: bool

    @staticmethod
    def parse(text: str) -> "Equation":
        """Parse an equation in Keras' form."""
        match = _EQUATION.fullmatch(text.replace(" ", ""))
        assert match is not None, text
        left, inputs, right, kernel, _, outputs, _ = match.groups()
        return Equation(inputs, kernel, outputs, bool(left), bool(right))

    def letter(self, letters: str, axis: int, rank: int) -> str | None:
        """The letter of an axis in a tensor of some rank; None for an axis under the ellipsis."""
        position = axis - (rank - len(letters)) if self.left else axis
        return letters[position] if 0 <= position < len(letters) else None


def absorb_einsum(node: Node, axis: int, affine: Affine) -> Op | Refusal:
    """Absorb the map behind it: k' = k·s along the channel's letter, b' = b·s + t with the letter in the bias axes."""
    equation = Equation.parse(node.op.config["equation"])
    letter = equation.letter(equation.output, axis, len(node.outputs[0].shape))
    kernel = _kernel(node.op)
    if kernel is None or letter is None or letter not in equation.kernel:
        return Refusal(
            RefusalReason.OTHER_AXIS, f"the kernel of {node.op.path} has no axis for the normalized axis {axis}"
        )
    at, rank = equation.output.index(letter), len(equation.output)
    bias = _wide_bias(node, equation) * along(affine.scale, at, rank) + along(affine.shift, at, rank)
    return _with(node, equation, backward_axis(kernel, affine, equation.kernel.index(letter)), bias, letter)


def forward_einsum(node: Node, axis: int, rank: int, affine: Affine) -> Op | Refusal:
    """Absorb the map before it: k' = k·s along the letter, b' = b + Σ k·t over letters that the output lacks."""
    equation = Equation.parse(node.op.config["equation"])
    letter = equation.letter(equation.input, axis, rank)
    kernel = _kernel(node.op)
    if kernel is None or letter is None or letter not in equation.kernel:
        return Refusal(
            RefusalReason.OTHER_AXIS, f"the kernel of {node.op.path} has no axis for the normalized axis {axis}"
        )
    at = equation.kernel.index(letter)
    folded = backward_axis(kernel, affine, at)
    if not affine.has_shift:
        return replace(node.op, weights=(Weight("kernel", folded), *node.op.weights[1:]))
    if set(equation.input) - set(equation.kernel) - set(equation.output):
        return Refusal(RefusalReason.POSITION, f"{node.op.path} sums over axes that its kernel does not weigh")
    kept = "".join(c for c in equation.output if c in equation.kernel)
    shifted = np.asarray(kernel, np.float64) * along(affine.shift, at, kernel.ndim)
    summed = np.einsum(f"{equation.kernel}->{kept}", shifted)
    shape = [summed.shape[kept.index(c)] if c in kept else 1 for c in equation.output]
    return _with(node, equation, folded, _wide_bias(node, equation) + summed.reshape(shape), kept)


def _kernel(op: Op) -> Array | None:
    return op.weight("kernel") if {w.name for w in op.weights} <= {"kernel", "bias"} else None


def _wide_bias(node: Node, equation: Equation) -> Floats:
    """The bias with one axis for each letter of the output; zero where there is none."""
    bias = node.op.weight("bias")
    letters = len(equation.output)
    if bias is None:
        return np.zeros((1,) * letters)
    shape = bias.shape[: bias.ndim - _trailing(node, equation)]
    return np.asarray(bias, np.float64).reshape((1,) * (letters - len(shape)) + shape)


def _with(node: Node, equation: Equation, kernel: Floats, bias: Floats, letters: str) -> Op:
    axes = "".join(c for c in equation.output if c in letters or c in (node.op.config["bias_axes"] or ""))
    if not axes:
        return replace(node.op, weights=(Weight("kernel", kernel),))
    first = min(equation.output.index(c) for c in axes)
    shape = (*bias.shape[first:], *(1,) * _trailing(node, equation))
    weights = (Weight("kernel", kernel), Weight("bias", bias.reshape(shape)))
    return replace(node.op, config={**node.op.config, "bias_axes": axes}, weights=weights)


def _trailing(node: Node, equation: Equation) -> int:
    """The number of axes under an ellipsis on the right: the bias has an axis of length 1 for each of them."""
    return 0 if equation.left else len(node.outputs[0].shape) - len(equation.output)
