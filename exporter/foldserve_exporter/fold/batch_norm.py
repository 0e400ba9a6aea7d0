"""A BatchNormalization layer as the affine map that it is in inference."""

import numpy as np

from ..errors import Refused
from ..graph import Node, Op
from .affine_op import affine_op
from .arithmetic import Affine, Array, from_statistics


def as_affine_op(node: Node) -> Op:
    """The affine op that a BatchNormalization node computes on its moving statistics.

    Raises:
        Refused: a statistic or a gain is not finite, or a variance is such that its root cannot be taken.
    """
    return affine_op(node.op.path, affine_of_statistics(node.op), _axis(node))


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


def _axis(node: Node) -> int:
    axis = node.op.config["axis"]
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise Refused(f"{node.op.path}: BatchNormalization over several axes {axis} is not supported.")
        axis = axis[0]
    return int(axis) % len(node.outputs[0].shape)
