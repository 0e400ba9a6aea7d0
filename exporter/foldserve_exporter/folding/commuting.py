"""Layers that an affine map along the channels may be moved across, upwards or downwards."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..graph import Graph, Node, Op, Ref, operations
from .activations import is_activation, is_linear, passes_scale
from .arithmetic import Affine, scale_only
from .refusal import Refusal, Why
from .reshaping import through_mean, through_permute, through_reshape

_L = keras.layers
Feed = tuple[Ref, int, Affine]


def _kinds(*stems: str) -> tuple[type[Any], ...]:
    return tuple(getattr(_L, stem + rank) for stem in stems for rank in ("1D", "2D", "3D"))


AVERAGING = _kinds("AveragePooling", "UpSampling", "Cropping")
MAXIMA = _kinds("MaxPooling")
GLOBAL_AVERAGE = _kinds("GlobalAveragePooling")
GLOBAL_MAXIMUM = _kinds("GlobalMaxPooling")
PADDING = _kinds("ZeroPadding")
SAME = (_L.Identity,)
RESHAPING = (_L.Reshape, _L.Flatten)
SUMS = (_L.Add, _L.Subtract, _L.Average)


def upwards(graph: Graph, node: Node, axis: int, affine: Affine) -> list[Feed] | Refusal | None:
    """The maps on a node's inputs that amount to ``affine`` on its output; None where the node does not commute."""
    if node.op.kind is _L.Concatenate:
        return _concatenate_up(graph, node, axis, affine)
    if node.op.kind in SUMS:
        return _sum_up(graph, node, axis, affine)
    if len(node.inputs) != 1:
        return None
    source = node.inputs[0]
    shapes = (node.outputs[0].shape, graph.spec(source).shape)
    moved = _single(node, axis, affine, *shapes, up=True)
    return moved if moved is None or isinstance(moved, Refusal) else [(source, *moved)]


def downwards(graph: Graph, node: Node, source: Ref, axis: int, affine: Affine) -> tuple[int, Affine] | Refusal | None:
    """The map on a node's output that amounts to ``affine`` on its input ``source``; None where it does not commute."""
    if node.op.kind is _L.Concatenate:
        return _concatenate_down(graph, node, source, axis, affine)
    if node.op.kind is _L.Multiply:
        return _product_down(graph, node, source, axis, affine)
    if len(node.inputs) != 1:
        return None
    return _single(node, axis, affine, graph.spec(source).shape, node.outputs[0].shape, up=False)


def _single(
    node: Node, axis: int, affine: Affine, start: Sequence[int | None], end: Sequence[int | None], up: bool
) -> tuple[int, Affine] | Refusal | None:
    kind = node.op.kind
    if kind in SAME or (is_activation(node.op) and (passes_scale(node.op, affine) or _is_bare(node.op))):
        return axis, affine
    if kind in RESHAPING or operations.name_of(node.op) == "Reshape":
        return through_reshape(node, axis, affine, start, end)
    if operations.name_of(node.op) == "Mean":
        return through_mean(node, axis, affine, max(len(start), len(end)), up)
    if kind is _L.Permute:
        return through_permute(axis, affine, (0, *node.op.config["dims"]), up)
    if kind in AVERAGING + MAXIMA + GLOBAL_AVERAGE + GLOBAL_MAXIMUM + PADDING:
        return _spatial(node, axis, affine, start, end)
    return None


def _is_bare(op: Op) -> bool:
    return op.kind is _L.Activation and is_linear(op)


def _spatial(
    node: Node, axis: int, affine: Affine, start: Sequence[int | None], end: Sequence[int | None]
) -> tuple[int, Affine] | Refusal:
    first = node.op.config.get("data_format") == "channels_first"
    if axis != (1 if first else len(start) - 1):
        return Refusal(Why.OTHER_AXIS, f"it normalizes axis {axis}, which {node.op.path} works along")
    if node.op.kind in MAXIMA + GLOBAL_MAXIMUM and not affine.keeps_order:
        return Refusal(Why.NEGATIVE_SCALE, f"a negative gamma turns the maximum of {node.op.path} into a minimum")
    if node.op.kind in PADDING and affine.has_shift:
        return Refusal(Why.PADDING, f"a shift must not reach the zeros that {node.op.path} pads with")
    return (1 if first else len(end) - 1), affine


def _concatenate_up(graph: Graph, node: Node, axis: int, affine: Affine) -> list[Feed] | Refusal:
    joined = int(node.op.config["axis"]) % len(node.outputs[0].shape)
    if joined != axis:
        return [(ref, axis, affine) for ref in node.inputs]
    sizes = [graph.spec(ref).shape[axis] for ref in node.inputs]
    if None in sizes:
        return Refusal(Why.DYNAMIC_SHAPE, f"{node.op.path} joins tensors of unknown size")
    cuts = np.cumsum([int(size or 0) for size in sizes])[:-1]
    parts = zip(np.split(affine.scale, cuts), np.split(affine.shift, cuts), strict=True)
    return [(ref, axis, Affine(*part)) for ref, part in zip(node.inputs, parts, strict=True)]


def _concatenate_down(graph: Graph, node: Node, source: Ref, axis: int, affine: Affine) -> tuple[int, Affine] | Refusal:
    """The other tensors that are joined get an identity map."""
    total = node.outputs[0].shape[axis]
    sizes = [graph.spec(ref).shape[axis] for ref in node.inputs]
    if int(node.op.config["axis"]) % len(node.outputs[0].shape) != axis or total is None or None in sizes:
        return Refusal(Why.OTHER_AXIS, f"{node.op.path} joins it with others along another axis")
    start = sum(int(size or 0) for size in sizes[: node.inputs.index(source)])
    scale, shift = np.ones(total), np.zeros(total)
    scale[start : start + affine.channels] = affine.scale
    shift[start : start + affine.channels] = affine.shift
    return axis, Affine(scale, shift)


def _product_down(graph: Graph, node: Node, source: Ref, axis: int, affine: Affine) -> tuple[int, Affine] | Refusal:
    """(s·a)·b = s·(a·b); a shift would be multiplied."""
    if affine.has_shift:
        return Refusal(Why.POSITION, f"{node.op.path} would multiply its shift by its other factors")
    if graph.spec(source).shape != node.outputs[0].shape:
        return Refusal(Why.OTHER_AXIS, f"{node.op.path} stretches it")
    return axis, affine


def _sum_up(graph: Graph, node: Node, axis: int, affine: Affine) -> list[Feed] | Refusal:
    """s·(a + b) + t = (s·a + t) + s·b; an average shifts every part."""
    shapes = {graph.spec(ref).shape for ref in node.inputs}
    if len(shapes) != 1:
        return Refusal(Why.OTHER_AXIS, f"{node.op.path} stretches one of its inputs")
    if node.op.kind is _L.Average:
        return [(ref, axis, affine) for ref in node.inputs]
    rest = scale_only(affine)
    return [(ref, axis, rest if position else affine) for position, ref in enumerate(node.inputs)]
