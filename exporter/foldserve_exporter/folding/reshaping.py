"""Affine maps across layers that only move or average values: reshaping, flattening, permuting, means."""

import math
from collections.abc import Sequence

import numpy as np

from ..graph import Node
from .arithmetic import Affine, Floats, along
from .refusal import Refusal, RefusalReason

MappedAxis = tuple[int, Affine]


def through_reshape(
    node: Node, axis: int, affine: Affine, start: Sequence[int | None], end: Sequence[int | None]
) -> MappedAxis | Refusal:
    """The map on a tensor of shape ``end`` that equals ``affine`` along ``axis`` of a tensor of shape ``start``.

    A last axis that keeps its length keeps its values, whatever happens to the axes before it and to the batch.
    Otherwise the map is broadcast over the whole sample, reshaped as the values are, and read back along one axis if
    it is constant along all others.
    """
    if axis == len(start) - 1 and start[-1] is not None and start[-1] == end[-1]:
        return len(end) - 1, affine
    inner, outer = start[1:], end[1:]
    if axis == 0 or None in inner or None in outer or math.prod(inner) != math.prod(outer):  # type: ignore[arg-type]
        return Refusal(RefusalReason.DYNAMIC_SHAPE, f"{node.op.path} reshapes a tensor whose size is not fixed")
    scale, shift = (_moved(values, axis - 1, inner, outer) for values in (affine.scale, affine.shift))
    for position in range(len(outer) - 1, -1, -1):
        along_axis = _along(scale, position), _along(shift, position)
        if along_axis[0] is not None and along_axis[1] is not None:
            return position + 1, Affine(along_axis[0], along_axis[1])
    return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} spreads the channels over several axes")


def through_permute(axis: int, affine: Affine, order: Sequence[int], upwards: bool) -> MappedAxis:
    """The map behind (or, ``upwards``, before) a transposition; ``order`` names all axes, the batch as 0."""
    return (order[axis] if upwards else list(order).index(axis)), affine


def through_mean(node: Node, axis: int, affine: Affine, rank: int, upwards: bool) -> MappedAxis | Refusal:
    """The map behind (or, ``upwards``, before) ``keras.ops.mean`` over other axes than its own."""
    reduced = node.op.template.axis
    reduced = range(rank) if reduced is None else [reduced] if isinstance(reduced, int) else reduced
    kept = [a for a in range(rank) if a not in {r % rank for r in reduced}]
    if not node.op.template.keepdims:
        if upwards:
            return kept[axis], affine
        return (kept.index(axis), affine) if axis in kept else _averaged(node)
    return (axis, affine) if axis in kept else _averaged(node)


def _averaged(node: Node) -> Refusal:
    return Refusal(RefusalReason.OTHER_AXIS, f"{node.op.path} averages over the normalized axis")


def _moved(values: Floats, axis: int, start: Sequence[int | None], end: Sequence[int | None]) -> Floats:
    whole = np.broadcast_to(along(values, axis, len(start)), [int(n or 0) for n in start])
    return whole.reshape([int(n or 0) for n in end])


def _along(whole: Floats, axis: int) -> Floats | None:
    """The values along one axis if they are the same everywhere else."""
    first = np.moveaxis(whole, axis, -1).reshape(-1, whole.shape[axis])
    return first[0].copy() if np.array_equal(first, np.broadcast_to(first[:1], first.shape)) else None
