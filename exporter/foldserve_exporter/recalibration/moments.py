"""Count, mean and sum of squared deviations of a stream of numbers, channel by channel, merged in float64."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of a stream of numbers, channel by channel.

    Attributes:
        count: The count of numbers in each channel.
        mean: Their mean, float64 of shape (channels,).
        squares: Σ(x − mean)², float64 of shape (channels,).
    """

    count: int
    mean: Array
    squares: Array

    @classmethod
    def of(cls, array: Array, axis: int) -> "Moments":
        """Computes the moments of one array over every axis but the channels'."""
        wide = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]).astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        return cls(len(wide), mean, np.einsum("nc,nc->c", wide, wide))

    def merged(self, other: "Moments") -> "Moments":
        """Merges the moments of two streams, after Chan, Golub and LeVeque: exact for counts of any proportion.

        δ = m₂ − m₁;  m = m₁ + δ·n₂/n;  S = S₁ + S₂ + δ²·n₁·n₂/n
        """
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        squares = self.squares + other.squares + apart**2 * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def variance(self) -> Array:
        """The population variance, S/n, as Keras 3 stores it."""
        variance: Array = self.squares / self.count
        return variance
