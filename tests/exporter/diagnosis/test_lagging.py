"""A layer lags where its drift points at the initial statistics, which one channel does by chance."""

import numpy as np
import pytest

from foldserve_exporter.diagnosis.drift import residue
from foldserve_exporter.recalibration.statistics import LayerStatistics


def lagging(channels: int, left: float) -> LayerStatistics:
    generator = np.random.default_rng(channels)
    mean, variance = generator.normal(2, 1, channels), generator.uniform(2, 4, channels)
    old_mean, old_variance = (1 - left) * mean, (1 - left) * variance + left
    return LayerStatistics("bn", 1e-3, old_mean, old_variance, mean, variance, 1000)


@pytest.mark.parametrize("channels", [3, 4, 32])
def test_the_share_that_is_left_is_seen_in_several_channels(channels: int) -> None:
    assert residue(lagging(channels, 0.4)) == pytest.approx(0.4)


@pytest.mark.parametrize("channels", [1, 2])
def test_one_or_two_channels_are_never_lagging(channels: int) -> None:
    assert residue(lagging(channels, 0.4)) is None


def test_a_random_drift_of_few_channels_is_hardly_ever_taken_for_lagging() -> None:
    generator = np.random.default_rng(0)

    def drifted(channels: int) -> LayerStatistics:
        mean, old_mean = generator.normal(0, 1, (2, channels))
        variance, old_variance = np.exp(generator.normal(0, 1, (2, channels)))
        return LayerStatistics("bn", 1e-3, old_mean, old_variance, mean, variance, 1000)

    assert sum(residue(drifted(3)) is not None for _ in range(1000)) <= 15
