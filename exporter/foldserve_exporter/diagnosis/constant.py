"""Answers that are the same whatever comes in."""

from collections.abc import Iterator

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Op
from .evidence import Evidence
from .finding import RETRAIN, Finding, Kind, Severity
from .stored import dead, wide

_LEAST_ROWS = 8
_ROUNDING = 8 * np.finfo(np.float32).eps
_FAR = 8.0  # standard deviations below 0: nothing comes through a ReLU


def constant_faults(evidence: Evidence, right: Arrays) -> Iterator[Finding]:
    """All outputs answer all samples alike, although these differ; the layer is named where it can be told."""
    if not all(_is_constant(array) for array in right.values()) or all(map(_is_constant, evidence.inputs.values())):
        return
    layer, why = _where(evidence)
    what = f"all {len(next(iter(right.values())))} samples are answered alike, to the last bit or nearly: {why}"
    yield Finding(Kind.CONSTANT, Severity.ERROR, layer, what, None, RETRAIN)


def _is_constant(array: Array) -> bool:
    """Whether all rows are the same. Scores that are all 0 or 1 say only that the model is sure of itself."""
    if array.dtype.kind != "f" or len(array) < _LEAST_ROWS or not np.isfinite(array).all():
        return False
    if np.isin(array, (0, 1)).all() and array.any():
        return False
    values = array.astype(np.float64)
    return bool((np.ptp(values, axis=0) <= _ROUNDING * np.abs(values).max(axis=0)).all())


def _where(evidence: Evidence) -> tuple[str | None, str]:
    """The first layer through which nothing comes."""
    for (op, _), layer in zip(evidence.drifts, evidence.estimated.layers, strict=True):
        gain = _gain(op)
        if dead(op).all():
            return op.path, "its γ is 0 in every channel, and lets nothing through"
        mean, deviation = gain * (layer.mean - layer.old_mean) + wide(op, "beta", 0.0), np.sqrt(layer.variance)
        if (mean + _FAR * np.abs(gain) * deviation < 0).all():
            return op.path, "its output is far below 0 in every channel, where a ReLU lets nothing through"
        if not layer.variance.any():
            return op.path, "what reaches it is always the same: nothing comes through the layers before it"
    return None, "somewhere in it nothing comes through"


def _gain(op: Op) -> Array:
    deviation: Array = np.sqrt(np.maximum(wide(op, "moving_variance", 1.0) + float(op.config["epsilon"]), 0))
    with np.errstate(divide="ignore"):
        found: Array = wide(op, "gamma", 1.0) / deviation
    return found
