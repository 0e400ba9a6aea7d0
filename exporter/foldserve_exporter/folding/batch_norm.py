"""BatchNormalization in inference as an affine map."""

import keras
import numpy as np

from ..errors import Refused
from ..graph import Node, Op
from ..graph.instantiate import assign_weights, instantiate
from .affine_op import affine_of, affine_op, axis_of
from .arithmetic import Affine, Array, Floats, along, from_statistics


def as_affine_op(node: Node) -> Op:
    """The affine op that a BatchNormalization node computes on its moving statistics.

    Raises:
        Refused: a statistic or a gain is not finite, or a variance is such that its root cannot be taken.
    """
    op = affine_op(node.op.path, _affine(node), _axis(node), _magnitude(node.op))
    if node.op.kind.call is not keras.layers.BatchNormalization.call:
        _check_call(node, op)
    return op


def _affine(node: Node) -> Affine:
    """Scale and shift; where that fails for a call with training=True, the message says why nobody noticed before."""
    try:
        return affine_of_statistics(node.op)
    except Refused as refused:
        if node.training is not True:
            raise
        raise Refused(
            f"{refused} The layer is called with training=True: it normalised by the batch at hand, so that its moving"
            " statistics were never needed. In service they are: estimate them anew with --recalibrate FILE."
        ) from refused


def _magnitude(op: Op) -> Floats:
    """The magnitude of a layer's inputs by its statistics: |μ| + √(σ²+ε)."""
    mean, variance = (np.asarray(op.weight(f"moving_{name}"), np.float64) for name in ("mean", "variance"))
    magnitude: Floats = np.abs(mean) + np.sqrt(variance + float(op.config["epsilon"]))
    return magnitude


def affine_of_statistics(op: Op) -> Affine:
    """Scale and shift from the layer's weights, looked up by name: renorm has seven of them."""
    for weight in op.weights:
        _check_finite(op, weight.name, weight.value)
    mean, variance = op.weight("moving_mean"), op.weight("moving_variance")
    if mean is None or variance is None:
        raise Refused(f"{op.path}: a {op.kind.__name__} without moving statistics. Train the model and save it again.")
    epsilon = float(op.config["epsilon"])
    wrong = int(np.sum(variance.astype(np.float64) + epsilon <= 0))
    if wrong:
        raise Refused(
            f"{op.path}: moving_variance + epsilon is not positive in {wrong} of {variance.size} channels "
            f"(smallest variance {float(variance.min())!r}). Recalibrate the statistics or restore a good checkpoint."
        )
    return from_statistics(op.weight("gamma"), op.weight("beta"), mean, variance, epsilon)


def _check_finite(op: Op, name: str, values: Array) -> None:
    wrong = int(np.sum(~np.isfinite(values.astype(np.float64))))
    if wrong:
        raise Refused(
            f"{op.path}: {name} holds {wrong} non-finite values out of {values.size}. "
            "Recalibrate the statistics or restore a good checkpoint."
        )


def _check_call(node: Node, op: Op) -> None:
    """Compare a subclass that overrides ``call`` with the formula, on random numbers.

    Raises:
        Refused: the layer computes something else.
    """
    shape = (4, *(n or 3 for n in node.outputs[0].shape[1:]))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    layer = instantiate(node.op, node.op.name, "float32")
    layer.build(shape)
    assign_weights(layer, node.op)
    affine, axis = affine_of(op), axis_of(op)
    expected = x * along(affine.scale, axis, x.ndim) + along(affine.shift, axis, x.ndim)
    actual = np.asarray(layer(x, training=False))
    if actual.shape != expected.shape or not np.abs(actual - expected).max() <= 1e-4 * (1 + np.abs(expected).max()):
        raise Refused(
            f"{node.op.path}: {node.op.kind.__name__} overrides call() and does not compute what BatchNormalization "
            "does on its moving statistics. Take it apart into layers, or train with keras.layers.BatchNormalization."
        )


def _axis(node: Node) -> int:
    axis = node.op.config["axis"]
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise Refused(f"{node.op.path}: BatchNormalization over several axes {axis} is not supported.")
        axis = axis[0]
    return int(axis) % len(node.outputs[0].shape)
