"""Outputs that are a classifier's: vectors of scores of which the largest is the answer."""

import numpy as np

from foldserve_contract.signature import Array

_ROUNDING = 1e-3


def are_probabilities(scores: Array) -> bool:
    """Tests whether every row is a distribution over at least two classes, as a softmax makes it.

    Waveforms, boxes and other vectors of values have no class, although one of them is the largest. Logits cannot be
    told from them: labels can.
    """
    if scores.ndim != 2 or scores.shape[1] < 2 or scores.dtype.kind != "f" or not len(scores):
        return False
    wide = scores.astype(np.float64)
    return bool((wide >= 0).all() and (np.abs(wide.sum(axis=1) - 1) <= _ROUNDING).all())
