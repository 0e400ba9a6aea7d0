"""How often predictions would be right if each class were answered as often as it comes."""

import numpy as np

from foldserve_contract.signature import Array

_ROUNDS = 100
_ROWS = 2000
_STEP = 6.0  # standard deviations of the scores, in the first round


def balanced_accuracy(scores: Array, classes: Array) -> float:
    """The accuracy when one constant for each class is added to its scores, such that its answers are as many.

    What only a constant in the model spoiled is right then. What has learned little stays nearly as wrong as it was.

    Args:
        scores: Probabilities, whose logarithms are taken, or logits; shape (rows, classes).
        classes: The right ones, int64 of shape (rows,).
    """
    chosen = np.unique(np.linspace(0, len(classes) - 1, min(len(classes), _ROWS)).astype(int))
    scores, classes = scores[chosen], classes[chosen]
    spread = np.log(np.maximum(scores, 1e-30)) if scores.min() >= 0 else scores
    spread = spread / (spread.std() or 1.0)
    wanted = np.bincount(classes, minlength=scores.shape[1]) / len(classes)
    constants = np.zeros(scores.shape[1])
    for each in range(_ROUNDS):
        answered = np.bincount((spread + constants).argmax(axis=1), minlength=scores.shape[1]) / len(classes)
        constants += _STEP / (each + 2) * (wanted - answered)
    return float(np.mean((spread + constants).argmax(axis=1) == classes))
