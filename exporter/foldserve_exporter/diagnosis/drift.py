"""The distance of each layer's statistics from those of the data."""

from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array

from ..predictions.change import Change
from ..recalibration.statistics import LayerStatistics

TINY = 1e-3  # of epsilon
_CAP = 10.0
_LEAST_CHANNELS = 3  # of random drifts, 8 % of one channel point there, 2 % of two, under 1 % of more


@dataclass(frozen=True, slots=True)
class LayerDrift:
    """Layer's moving statistics against the data's, all layers before it being right.

    Attributes:
        layer: Its path.
        frozen: True if it is not trainable.
        channels: The number of its channels.
        drift: The error of its normalised output, as a share of the output itself (see `off_by`).
        shift: Mean over the channels of |μ − μ_data| / √(σ²_data + ε).
        largest_shift: The largest of them.
        log_ratio: Mean over the channels of |log((σ² + ε) / (σ²_data + ε))|.
        residue: Share of the initial value (mean 0, variance 1) that is left, where that explains the drift.
        tiny: The share of `drift` in channels whose moving variance is below a thousandth of epsilon.
        effect: The change of the predictions by this layer: between all layers right and this one left as it is, or
            in an export, between all left as they are and this one right. None where it was not measured.
    """

    layer: str
    frozen: bool
    channels: int
    drift: float
    shift: float
    largest_shift: float
    log_ratio: float
    residue: float | None
    tiny: float
    effect: Change | None = None

    def exceeds(self, limit: float) -> bool:
        """Tests whether the layer drifts beyond a limit; not where its stored variance is not a variance."""
        return self.drift > limit and bool(np.isfinite(self.log_ratio))


def measure_drift(layer: LayerStatistics, frozen: bool) -> LayerDrift:
    """The drift of one layer, without its effect."""
    shift, log_ratio, apart = layer.shift, np.abs(layer.log_ratio), off_by(layer)
    small = layer.old_variance < TINY * layer.epsilon
    return LayerDrift(
        layer.path,
        frozen,
        shift.size,
        float(apart.mean()),
        float(shift.mean()),
        float(shift.max()),
        float(log_ratio.mean()),
        residue(layer),
        float(apart[small].sum() / apart.sum()) if apart.any() else 0.0,
    )


def off_by(layer: LayerStatistics) -> Array:
    """Root mean square over x of |z(x) − z_data(x)| by channel, each counted up to 10.

    With z = (x − μ)/s and s = √(σ² + ε): √( ((μ_data − μ)/s)² + (σ_data/s − σ_data/s_data)² ). It is 0 where the
    statistics are right, and about 1 where the layer's output is off by as much as it varies.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        stored = np.sqrt(layer.old_variance + layer.epsilon)
        right = np.sqrt(layer.variance + layer.epsilon)
        wide = np.sqrt(layer.variance)
        apart = np.hypot((layer.mean - layer.old_mean) / stored, wide / stored - wide / right)
    capped: Array = np.minimum(np.nan_to_num(apart, nan=_CAP, posinf=_CAP), _CAP)
    return capped


def residue(layer: LayerStatistics, least: float = 0.9) -> float | None:
    """The share r of the initial value that is left, with μ ≈ (1−r)·μ_data and σ² ≈ (1−r)·σ²_data + r.

    Least squares over the channels in units of the data's deviation; None where it explains less than `least` of the
    drift's squares, and for layers of one or two channels, whose drift points there by chance.
    """
    if layer.mean.size < _LEAST_CHANNELS:
        return None
    unit = np.sqrt(layer.variance + layer.epsilon)
    toward = np.concatenate([-layer.mean / unit, (1 - layer.variance) / unit**2])
    gone = np.concatenate([(layer.old_mean - layer.mean) / unit, (layer.old_variance - layer.variance) / unit**2])
    if not np.isfinite(gone).all() or not toward.any() or not gone.any():
        return None
    share = float(toward @ gone / (toward @ toward))
    left = gone - share * toward
    if not 0 < share <= 1.05 or left @ left > (1 - least) * (gone @ gone):
        return None
    return min(share, 1.0)


def threshold(rows: int) -> float:
    """The drift that chance and a healthy training may leave: statistics of few rows are uncertain by 1/√rows."""
    return 0.3 + 2 / float(np.sqrt(rows))
