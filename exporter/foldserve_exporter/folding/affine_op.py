"""Affine maps as nodes of a graph: float64 while the fold works, a stock Keras layer when it is done."""

from dataclasses import replace

import keras
import numpy as np

from ..graph import Node, Op, Weight, operations
from .arithmetic import Affine, Array, Floats


class AffineMap:
    """The kind of an op that stands for y = s·x + t along one axis. No model holds it: `lowered` ends it."""


def affine_op(path: str, affine: Affine, axis: int, size: Floats | None = None) -> Op:
    """An op for an affine map along ``axis``, counted from the front with the batch as 0.

    ``size`` is how large the values are that it is given, by channel, where statistics tell.
    """
    weights = (Weight("scale", affine.scale), Weight("shift", affine.shift))
    return Op(path, AffineMap, {"axis": axis}, weights if size is None else (*weights, Weight("size", size)))


def is_affine(node: Node) -> bool:
    """True if a node is an affine map."""
    return node.op.kind is AffineMap


def affine_of(op: Op) -> Affine:
    """The map behind an affine op."""
    return Affine(op.weights[0].value, op.weights[1].value)


def axis_of(op: Op) -> int:
    """The axis of an affine op."""
    return int(op.config["axis"])


def magnitude_of(op: Op) -> Floats | None:
    """How large the values are that an affine op is given, by channel, or None where nothing tells."""
    return op.weight("size")


def with_affine(op: Op, affine: Affine) -> Op:
    """The op with another map along the same axis."""
    return affine_op(op.path, affine, axis_of(op), magnitude_of(op))


def with_mapped_input(op: Op, by: Affine) -> Op:
    """The op as it stands when the values that it is given have been mapped by ``by``."""
    size = magnitude_of(op)
    size = None if size is None else size * np.abs(by.scale) + np.abs(by.shift)
    return affine_op(op.path, affine_of(op), axis_of(op), size)


def with_unmapped_input(op: Op, of: Affine) -> Op:
    """The op as it stands when a map ``of`` no longer stands before it; where that was 0 nothing tells the size."""
    size = magnitude_of(op)
    if size is None or not of.is_moderate:
        return affine_op(op.path, affine_of(op), axis_of(op))
    return affine_op(op.path, affine_of(op), axis_of(op), (size + np.abs(of.shift)) / np.abs(of.scale))


def lowered(node: Node) -> Node:
    """The node as an addition, a subtraction, a multiplication, or, where it takes two of these, a Rescaling.

    A Rescaling always multiplies and adds; its configuration holds the float32 values exactly.
    """
    affine, axis, rank = affine_of(node.op), axis_of(node.op), len(node.outputs[0].shape)
    scale, shift = (_broadcasting(values, axis, rank) for values in (affine.scale, affine.shift))
    if not affine.has_scale:
        return replace(node, op=operations.add(node.op.path), args=(node.args[0], shift))
    if not affine.has_shift:
        return replace(node, op=operations.multiply(node.op.path), args=(node.args[0], scale))
    if np.all(affine.scale == -1):
        return replace(node, op=operations.subtract(node.op.path), args=(shift, node.args[0]))
    config = {"name": node.op.name, "dtype": "float32", "scale": scale.tolist(), "offset": shift.tolist()}
    return replace(node, op=Op(node.op.path, keras.layers.Rescaling, config))


def _broadcasting(values: Floats, axis: int, rank: int) -> Array:
    """The values rounded to float32, shaped to broadcast along ``axis``; a single number where all are equal."""
    rounded: Array = np.asarray(values, np.float32)
    if rounded.size and np.all(rounded == rounded[0]):
        return np.asarray(rounded[0])
    return rounded.reshape(-1, *(1,) * (rank - 1 - axis))
