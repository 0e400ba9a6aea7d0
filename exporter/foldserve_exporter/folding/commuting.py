"""Commuting layers: those that an affine map along the channels can be moved across, upwards or downwards."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..graph import Graph, Node, Op, operations
from ..graph.open_upsampling import OpenUpSampling2D
from ..graph.step_layers import MergeSteps, PartSteps
from .activations import is_activation, is_linear, passes_scale
from .arithmetic import Affine
from .refusal import Refusal, RefusalReason
from .reshaping import through_mean, through_permute, through_reshape
from .sums_and_products import (
    Crossing,
    InputMap,
    MappedAxis,
    is_product,
    is_sum,
    product_down,
    product_up,
    sum_down,
    sum_up,
)

_L = keras.layers


def _kinds(*stems: str) -> tuple[type[Any], ...]:
    return tuple(getattr(_L, stem + rank) for stem in stems for rank in ("1D", "2D", "3D"))


AVERAGING = (*_kinds("AveragePooling", "UpSampling", "Cropping"), OpenUpSampling2D)
MAX_POOLING = _kinds("MaxPooling")
GLOBAL_AVERAGE_POOLING = _kinds("GlobalAveragePooling")
GLOBAL_MAX_POOLING = _kinds("GlobalMaxPooling")
PADDING = _kinds("ZeroPadding")
IDENTITY = (_L.Identity,)
RESHAPING = (_L.Reshape, _L.Flatten, MergeSteps)
INTERPOLATIONS = ("nearest", "bilinear")


def upwards(graph: Graph, node: Node, axis: int, affine: Affine) -> list[list[InputMap]] | Refusal | None:
    """The choices of maps on a node's inputs that equal ``affine`` on its output; None if the node does not commute."""
    if node.op.kind is _L.Concatenate:
        parts = _concatenate_up(graph, node, axis, affine)
        return parts if isinstance(parts, Refusal) else [parts]
    if is_sum(node):
        return sum_up(graph, node, axis, affine)
    if is_product(node):
        return product_up(graph, node, axis, affine)
    if node.op.kind is PartSteps:
        _, rows = node.inputs
        moved = through_reshape(node, axis, affine, node.outputs[0].shape, graph.spec(rows).shape)
        return moved if isinstance(moved, Refusal) else [[(rows, *moved)]]
    if len(node.inputs) != 1:
        return None
    source = node.inputs[0]
    shapes = (node.outputs[0].shape, graph.spec(source).shape)
    mapped = _single(node, axis, affine, *shapes, up=True)
    return mapped if mapped is None or isinstance(mapped, Refusal) else [[(source, *mapped)]]


def downwards(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> list[Crossing] | Refusal | None:
    """The ways for a map on one of a node's inputs to cross the node; None if the node does not commute."""
    if is_sum(node):
        return sum_down(graph, node, position, axis, affine)
    if is_product(node):
        return product_down(graph, node, position, axis, affine)
    if node.op.kind is PartSteps:
        return _part_steps_down(graph, node, position, axis, affine)
    if node.op.kind is _L.Concatenate:
        moved: MappedAxis | Refusal | None = _concatenate_down(graph, node, position, axis, affine)
    elif len(node.inputs) != 1:
        return None
    else:
        shapes = graph.spec(node.inputs[0]).shape, node.outputs[0].shape
        moved = _single(node, axis, affine, *shapes, up=False)
    return moved if moved is None or isinstance(moved, Refusal) else [Crossing((), moved)]


def _part_steps_down(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> list[Crossing] | Refusal:
    """Across a PartSteps: of its first input the shape alone is read, so that a map on its values ends there."""
    if position == 0:
        return [Crossing((), None)]
    moved = through_reshape(node, axis, affine, graph.spec(node.inputs[1]).shape, node.outputs[0].shape)
    return moved if isinstance(moved, Refusal) else [Crossing((), moved)]


def _single(
    node: Node, axis: int, affine: Affine, start: Sequence[int | None], end: Sequence[int | None], up: bool
) -> MappedAxis | Refusal | None:
    kind = node.op.kind
    if kind in IDENTITY or (is_activation(node.op) and (passes_scale(node.op, affine) or _is_bare(node.op))):
        return axis, affine
    if kind in RESHAPING or operations.name_of(node.op) == "Reshape":
        return through_reshape(node, axis, affine, start, end)
    if operations.name_of(node.op) == "Mean":
        return through_mean(node, axis, affine, max(len(start), len(end)), up)
    if kind is _L.Permute:
        return through_permute(axis, affine, (0, *node.op.config["dims"]), up)
    if kind in AVERAGING + MAX_POOLING + GLOBAL_AVERAGE_POOLING + GLOBAL_MAX_POOLING + PADDING or _is_resizing(node.op):
        return _spatial(node, axis, affine, start, end)
    return None


def _is_resizing(op: Op) -> bool:
    """True if an op interpolates with weights that sum to one and does not pad."""
    if op.kind is not _L.Resizing or op.config.get("pad_to_aspect_ratio"):
        return False
    return op.config["interpolation"] in INTERPOLATIONS


def _is_bare(op: Op) -> bool:
    return op.kind is _L.Activation and is_linear(op)


def _spatial(
    node: Node, axis: int, affine: Affine, start: Sequence[int | None], end: Sequence[int | None]
) -> MappedAxis | Refusal:
    first = node.op.config.get("data_format") == "channels_first"
    if axis != (1 if first else len(start) - 1):
        return Refusal(RefusalReason.OTHER_AXIS, f"it normalizes axis {axis}, which {node.op.path} works along")
    other = f"put it on the other side of {node.op.path}"
    if node.op.kind in MAX_POOLING + GLOBAL_MAX_POOLING and not affine.keeps_order:
        return Refusal(
            RefusalReason.NEGATIVE_SCALE,
            f"a negative gamma turns the maximum of {node.op.path} into a minimum",
            f"{other}, or keep gamma from becoming negative (gamma_constraint='non_neg')",
        )
    if node.op.kind in PADDING and affine.has_shift:
        return Refusal(RefusalReason.PADDING, f"a shift must not reach the zeros that {node.op.path} pads with", other)
    return (1 if first else len(end) - 1), affine


def _concatenate_up(graph: Graph, node: Node, axis: int, affine: Affine) -> list[InputMap] | Refusal:
    joined = int(node.op.config["axis"]) % len(node.outputs[0].shape)
    if joined != axis:
        return [(ref, axis, affine) for ref in node.inputs]
    sizes = [graph.spec(ref).shape[axis] for ref in node.inputs]
    if None in sizes:
        return Refusal(RefusalReason.DYNAMIC_SHAPE, f"{node.op.path} joins tensors of unknown size")
    cuts = np.cumsum([int(size or 0) for size in sizes])[:-1]
    parts = zip(np.split(affine.scale, cuts), np.split(affine.shift, cuts), strict=True)
    return [(ref, axis, Affine(*part)) for ref, part in zip(node.inputs, parts, strict=True)]


def _concatenate_down(graph: Graph, node: Node, position: int, axis: int, affine: Affine) -> MappedAxis | Refusal:
    """The map on the concatenation: identity in the channels of the other tensors."""
    total = node.outputs[0].shape[axis]
    sizes = [graph.spec(ref).shape[axis] for ref in node.inputs]
    if int(node.op.config["axis"]) % len(node.outputs[0].shape) != axis or total is None or None in sizes:
        return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} joins it with others along another axis")
    start = sum(int(size or 0) for size in sizes[:position])
    scale, shift = np.ones(total), np.zeros(total)
    scale[start : start + affine.channels] = affine.scale
    shift[start : start + affine.channels] = affine.shift
    return axis, Affine(scale, shift)
