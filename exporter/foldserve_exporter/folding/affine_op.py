"""Affine maps as nodes of a graph: in float64 during the fold, lowered to a stock Keras layer after it."""

from dataclasses import replace

import keras
import numpy as np

from ..graph import Node, Op, Weight, operations
from .arithmetic import Affine, Array, Floats


class AffineMap:
    """The kind of an op that computes y = s·x + t along one axis; during the fold only, until `lowered` replaces it."""


def affine_op(path: str, affine: Affine, axis: int, magnitude: Floats | None = None) -> Op:
    """An op for an affine map along ``axis``, counted from the front with the batch as 0.

    ``magnitude`` is the magnitude of its inputs, by channel, where it is known from statistics.
    """
    weights = [Weight("scale", affine.scale), Weight("shift", affine.shift)]
    if magnitude is not None:
        weights.append(Weight("magnitude", magnitude))
    return Op(path, AffineMap, {"axis": axis}, tuple(weights))


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
    """The magnitude of an affine op's inputs, by channel; None where it is unknown."""
    return op.weight("magnitude")


def with_affine(op: Op, affine: Affine) -> Op:
    """The op with another map along the same axis."""
    return affine_op(op.path, affine, axis_of(op), magnitude_of(op))


def with_mapped_input(op: Op, by: Affine) -> Op:
    """The op with the magnitude of its inputs as they are once ``by`` maps them."""
    magnitude = magnitude_of(op)
    magnitude = None if magnitude is None else magnitude * np.abs(by.scale) + np.abs(by.shift)
    return affine_op(op.path, affine_of(op), axis_of(op), magnitude)


def with_unmapped_input(op: Op, of: Affine) -> Op:
    """The op with the magnitude of its inputs as they are without the map ``of`` before it; unknown if that was 0."""
    magnitude = magnitude_of(op)
    if magnitude is None or not of.is_moderate:
        return affine_op(op.path, affine_of(op), axis_of(op))
    return affine_op(op.path, affine_of(op), axis_of(op), (magnitude + np.abs(of.shift)) / np.abs(of.scale))


def lowered(node: Node) -> Node:
    """The node as an addition, a subtraction or a multiplication, or as a Rescaling where it takes two of these.

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
