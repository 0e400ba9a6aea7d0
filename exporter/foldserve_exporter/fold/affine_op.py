"""Affine maps as nodes of a graph: float64 while the fold works, a stock Keras layer when it is done."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..graph import Node, Op, Weight
from .arithmetic import Affine, along


class AffineMap:
    """The kind of an op that stands for y = s·x + t along one axis. No model holds it: `lowered` ends it."""


def affine_op(path: str, affine: Affine, axis: int) -> Op:
    """An op for an affine map along ``axis``, counted from the front with the batch as 0."""
    weights = (Weight("scale", affine.scale), Weight("shift", affine.shift))
    return Op(path, AffineMap, {"axis": axis}, weights)


def is_affine(node: Node) -> bool:
    """Whether a node is an affine map."""
    return node.op.kind is AffineMap


def affine_of(op: Op) -> Affine:
    """The map behind an affine op."""
    return Affine(op.weights[0].value, op.weights[1].value)


def axis_of(op: Op) -> int:
    """The axis of an affine op."""
    return int(op.config["axis"])


def with_affine(node: Node, affine: Affine) -> Node:
    """The node with another map along the same axis."""
    return replace(node, op=affine_op(node.op.path, affine, axis_of(node.op)))


def lowered(node: Node) -> Node:
    """The node as a Rescaling, whose configuration holds the float32 values exactly."""
    rank = len(node.outputs[0].shape)
    config = {
        "name": node.op.name,
        "dtype": "float32",
        "scale": _listed(affine_of(node.op).scale, axis_of(node.op), rank),
        "offset": _listed(affine_of(node.op).shift, axis_of(node.op), rank),
    }
    return replace(node, op=Op(node.op.path, keras.layers.Rescaling, config))


def _listed(values: Any, axis: int, rank: int) -> Any:
    """The float32 values as nested lists that broadcast along ``axis``; a single number where all are equal."""
    rounded = np.asarray(values, np.float32)
    if rounded.size and np.all(rounded == rounded[0]):
        return float(rounded[0])
    return along(rounded, axis - rank, rank - axis).tolist()
