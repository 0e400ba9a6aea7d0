"""Stock layers other than BatchNormalization that compute affine maps, which a BatchNormalization may merge with."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..graph import Graph, Node, Op, Ref, operations
from .affine_op import affine_op
from .arithmetic import Affine

_EPSILON = 1e-7


def affine_layer_op(graph: Graph, node: Node) -> Op | None:
    """The affine op that a Rescaling or Normalization with one value per channel, or one for all, computes."""
    shape = node.outputs[0].shape
    channels = shape[-1] if shape else None
    if channels is None or len(node.inputs) != 1 or shape != graph.spec(node.inputs[0]).shape:
        return None
    affine = None
    if node.op.kind is keras.layers.Rescaling:
        affine = _per_channel(node.op.config["scale"], node.op.config["offset"], channels)
    elif node.op.kind is keras.layers.Normalization:
        affine = _normalization(node, channels)
    elif len(node.args) == 2 and not node.kwargs and graph.spec(node.inputs[0]).is_float and node.outputs[0].is_float:
        affine = _arithmetic(operations.name_of(node.op), node.args[0], node.args[1], channels)
    return None if affine is None else affine_op(node.op.path, affine, len(shape) - 1)


def with_float_cast(graph: Graph, node: Node, key: int) -> list[Node]:
    """The expansion of an affine layer on integers: a cast, and the layer on floats, so that its map can move."""
    if not (node in graph.batch_norms or affine_layer_op(graph, node)) or graph.spec(node.inputs[0]).is_float:
        return [node]
    source = node.inputs[0]
    spec = replace(graph.spec(source), dtype="float32")
    cast = Node(key, operations.to_float(f"{node.op.path}/cast"), (source,), {}, (spec,))
    return [cast, node.rewired(lambda ref: cast.ref if ref == source else ref)]


def average_as_sum(node: Node, key: int) -> list[Node]:
    """The expansion of an average: a sum and an affine map, so that the division can move with the map."""
    shape = node.outputs[0].shape
    if node.op.kind is not keras.layers.Average or not shape or shape[-1] is None:
        return [node]
    total = Op(f"{node.op.path}/sum", keras.layers.Add, {"name": f"{node.op.name}_sum", "dtype": "float32"})
    added = replace(node, key=key, op=total)
    share = Affine(np.full(shape[-1], 1 / len(node.inputs)), np.zeros(shape[-1]))
    return [added, replace(node, op=affine_op(node.op.path, share, len(shape) - 1), args=(added.ref,), kwargs={})]


def _arithmetic(name: str | None, left: object, right: object, channels: int) -> Affine | None:
    """Read x + c, x − c, c − x, x·c or x/c where c is a number, or a vector of one per channel on the last axis."""
    is_reversed = isinstance(right, Ref)
    constant = left if is_reversed else right
    if not isinstance(constant, int | float | np.ndarray | np.number):
        return None
    value = _without_leading_ones(np.asarray(constant, np.float64))
    if name == "Add":
        return _per_channel(1.0, value, channels)
    if name == "Multiply":
        return _per_channel(value, 0.0, channels)
    if name == "Subtract":
        return _per_channel(-1.0, value, channels) if is_reversed else _per_channel(1.0, -value, channels)
    if name in ("Divide", "TrueDivide") and not is_reversed and np.all(value != 0):
        return _per_channel(1 / value, 0.0, channels)
    return None


def _without_leading_ones(value: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A constant of shape (1, …, 1, n) as a vector, as which it is broadcast."""
    return value.reshape(-1) if value.ndim > 1 and value.size == value.shape[-1] else value


def _per_channel(scale: object, shift: object, channels: int) -> Affine | None:
    values = [np.asarray(value, np.float64) for value in (scale, shift)]
    if any(value.shape not in ((), (1,), (channels,)) for value in values):
        return None
    return Affine(*(np.broadcast_to(value, (channels,)).copy() for value in values))


def _normalization(node: Node, channels: int) -> Affine | None:
    """The map of keras.layers.Normalization: (x − μ)/max(√σ², 1e-7), or inverted x·max(√σ², 1e-7) + μ."""
    config, rank = node.op.config, len(node.outputs[0].shape)
    mean, variance = node.op.weight("mean"), node.op.weight("variance")
    if mean is None or variance is None:
        mean, variance = np.asarray(config["mean"]), np.asarray(config["variance"])
    axes = config["axis"] if isinstance(config["axis"], list | tuple) else [config["axis"]]
    if mean.size > 1 and [axis % rank for axis in axes] != [rank - 1]:
        return None
    spread = np.maximum(np.sqrt(variance.astype(np.float64)), _EPSILON)
    centre = mean.astype(np.float64)
    scale, shift = (spread, centre) if config.get("invert") else (1 / spread, -centre / spread)
    return _per_channel(scale.reshape(-1) if scale.size > 1 else scale.reshape(()), _flattened(shift), channels)


def _flattened(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> object:
    return values.reshape(-1) if values.size > 1 else values.reshape(())
