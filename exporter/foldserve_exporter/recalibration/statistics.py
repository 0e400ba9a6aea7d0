"""Moving statistics of a BatchNormalization layer, read from and written into its op."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from foldserve_contract.signature import Array

from ..errors import Refused
from ..graph import Node, Op, Weight
from .moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class LayerStatistics:
    """Statistics of a layer before and after recalibration.

    Attributes:
        path: The layer's path, such as `backbone/bn_1`.
        epsilon: The layer's ε.
        old_mean, old_variance: As they are stored in the model, float64 of shape (channels,).
        mean, variance: Of the data, float64 of shape (channels,).
        count: The count of numbers in each channel that they were taken over.
    """

    path: str
    epsilon: float
    old_mean: Array
    old_variance: Array
    mean: Array
    variance: Array
    count: int

    @property
    def shift(self) -> Array:
        """|μ − μ_data| / √(σ²_data + ε) by channel."""
        shift: Array = np.abs(self.old_mean - self.mean) / np.sqrt(self.variance + self.epsilon)
        return shift

    @property
    def log_ratio(self) -> Array:
        """log((σ² + ε) / (σ²_data + ε)) by channel; NaN where the stored variance is invalid."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio: Array = np.log((self.old_variance + self.epsilon) / (self.variance + self.epsilon))
        return ratio


def axis_of(node: Node) -> int:
    """The channels' axis of a BatchNormalization's input."""
    axis = node.op.config["axis"]
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    return int(axis) % len(node.outputs[0].shape)


def stored(op: Op) -> tuple[Array, Array]:
    """Moving mean and variance in float64.

    Raises:
        Refused: The layer has no moving statistics.
    """
    mean, variance = op.weight("moving_mean"), op.weight("moving_variance")
    if mean is None or variance is None:
        raise Refused(f"{op.path}: a {op.kind.__name__} without moving statistics. Train the model and save it again.")
    return mean.astype(np.float64), variance.astype(np.float64)


def compared(op: Op, moments: Moments) -> LayerStatistics:
    """Compares the layer's statistics with those of the data."""
    mean, variance = stored(op)
    epsilon = float(op.config["epsilon"])
    return LayerStatistics(op.path, epsilon, mean, variance, moments.mean, moments.variance, moments.count)


def with_moments(op: Op, moments: Moments) -> Op:
    """Replaces the op's statistics, including those that batch renormalisation keeps beside them."""
    values = statistics_by_weight(moments, float(op.config["epsilon"]))
    weights = tuple(
        Weight(weight.name, values[weight.name].astype(weight.value.dtype)) if weight.name in values else weight
        for weight in op.weights
    )
    return replace(op, weights=weights)


def statistics_by_weight(moments: Moments, epsilon: float) -> Mapping[str, Array]:
    """The value of every weight that holds a statistic, by the weight's name.

    Batch renormalisation stores √(σ² + ε) and derives the variance of inference from it.
    """
    deviation = np.sqrt(moments.variance + epsilon)
    return {
        "moving_mean": moments.mean,
        "moving_variance": moments.variance,
        "moving_stddev": deviation,
        "renorm_mean": moments.mean,
        "renorm_stddev": deviation,
    }
