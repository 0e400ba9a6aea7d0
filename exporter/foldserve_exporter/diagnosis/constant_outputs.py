"""The check for outputs that are the same whatever the input."""

from collections.abc import Iterator

import numpy as np

from foldserve_contract.signature import Array

from .evidence import SampleEvidence
from .finding import RETRAIN, Finding, FindingKind, Severity
from .layer_weights import dead, gain, wide

_LEAST_ROWS = 8
_ROUNDING = 8 * np.finfo(np.float32).eps
_FAR = 8.0  # standard deviations below 0: nothing comes through a ReLU


def constant_faults(sampled: SampleEvidence) -> Iterator[Finding]:
    """Outputs that are all the same for all samples, although these differ; with the layer where it can be named.

    It is looked for by statistics in inference, so that a batch-statistics pass does not show it.
    """
    if sampled.recalibrated is None or all(map(_is_constant, sampled.inputs.values())):
        return
    if all(map(_is_constant, sampled.outputs.values())):
        layer, why = _blocking_layer(sampled)
        what = f"all {sampled.rows} samples are answered alike, to the last bit or nearly: {why}"
        yield Finding(FindingKind.CONSTANT, Severity.ERROR, layer, what, None, RETRAIN)


def _is_constant(array: Array) -> bool:
    """Tests whether all rows are the same. Scores that are all 0 or 1 may be those of a model that is certain."""
    if array.dtype.kind != "f" or len(array) < _LEAST_ROWS or not np.isfinite(array).all():
        return False
    if np.isin(array, (0, 1)).all() and array.any():
        return False
    values = array.astype(np.float64)
    return bool((np.ptp(values, axis=0) <= _ROUNDING * np.abs(values).max(axis=0)).all())


def _blocking_layer(sampled: SampleEvidence) -> tuple[str | None, str]:
    """The path of the first layer that blocks every input, and how it does so."""
    for op, statistics in ((layer.op, layer.statistics) for layer in sampled.layers):
        if dead(op).all():
            return op.path, "its γ is 0 in every channel, and lets nothing through"
        by_channel, deviation = gain(op), np.sqrt(statistics.variance)
        mean = by_channel * (statistics.mean - statistics.old_mean) + wide(op, "beta", 0.0)
        if (mean + _FAR * np.abs(by_channel) * deviation < 0).all():
            return op.path, "its output is far below 0 in every channel, where a ReLU lets nothing through"
        if not statistics.variance.any():
            return op.path, "what reaches it is always the same: nothing comes through the layers before it"
    return None, "somewhere in it nothing comes through"
