"""Tolerances: the deviation of an output from its reference, and the bounds of it."""

import math

import numpy as np

from .signature import Array

NOISE_FACTOR = 8
ROUNDING_FACTOR = 16
HEADROOM = 4
PROMISED_RELATIVE = 1e-5
_EPS32 = float(np.finfo(np.float32).eps)


def limit(noise: float, scale: float) -> float:
    """Largest deviation allowed on the samples: 8·noise + 16·eps32·scale.

    Args:
        noise: max|float32 − float64| of the unfolded model over the samples.
        scale: max|reference| over the samples.
    """
    return NOISE_FACTOR * noise + ROUNDING_FACTOR * _EPS32 * scale


def bound(limit: float) -> float:
    """Bound of the deviation on unseen inputs: 4·limit.

    On hundreds of unseen inputs a fault appears up to twice as large as on 32 samples (measured, docs/exporting.md).
    """
    return HEADROOM * limit


def promised(limit: float, scale: float) -> float:
    """Tolerance of golden samples on other CPUs and GPUs: max(limit, 1e-5·scale)."""
    return max(limit, PROMISED_RELATIVE * scale)


def reduced(promised: float, measured: float) -> float:
    """Tolerance of golden samples on a GPU that rounds factors to TF32: promised + 4·measured.

    Args:
        promised: The tolerance without that rounding.
        measured: The deviation that the rounding alone caused on the samples.
    """
    return promised + HEADROOM * measured


def deviation(candidate: Array, reference: Array) -> float:
    """Deviation max|candidate − reference| in float64; 0 without elements.

    Not finite where either value is not, except where both are the same infinity, which does not deviate. Integers are
    compared exactly: any difference between 64-bit integers is at least 1.

    Raises:
        ValueError: The shapes differ.
    """
    if candidate.shape != reference.shape:
        raise ValueError(f"shapes differ: {candidate.shape} and {reference.shape}")
    if candidate.size == 0:
        return 0.0
    if np.issubdtype(candidate.dtype, np.integer) or candidate.dtype == np.bool_:
        return _integer_deviation(candidate, reference)
    same = candidate == reference
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    return float(np.max(np.where(same, 0.0, difference)))


def _integer_deviation(candidate: Array, reference: Array) -> float:
    differs = candidate != reference
    if not differs.any():
        return 0.0
    apart = np.abs(candidate[differs].astype(np.float64) - reference[differs].astype(np.float64))
    return max(1.0, float(apart.max()))


def within(deviation: float, bound: float) -> bool:
    """Tests whether a deviation is within a bound; NaN and infinity never are."""
    return math.isfinite(deviation) and deviation <= bound


def scale(reference: Array) -> float:
    """Scale of a reference: max|reference| over the finite elements, 0 without any."""
    finite = reference[np.isfinite(reference)] if reference.dtype.kind == "f" else reference
    return float(np.max(np.abs(finite.astype(np.float64)))) if finite.size else 0.0
