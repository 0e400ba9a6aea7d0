"""Difference between two sets of predictions."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..class_scores import are_probabilities


@dataclass(frozen=True, slots=True)
class Change:
    """Difference between an output before and after a change of the model.

    Attributes:
        largest: max|before − after|.
        mean: mean|before − after|.
        scale: max|before|.
        spread: Standard deviation of the output over the rows, before or after, whichever varies more.
        agreement: Share of the rows with the same top-1 class; None where the output is not a classifier's.
    """

    largest: float
    mean: float
    scale: float
    spread: float
    agreement: float | None

    @property
    def size(self) -> float:
        """The share of the predictions' content that changed, from 0 (none) to 1 (all of it)."""
        if not np.isfinite(self.mean):
            return 1.0
        moved = self.mean / self.spread if self.spread > 0 else float(self.mean > 0)
        return min(1.0, max(moved, 0.0 if self.agreement is None else 1 - self.agreement))


def change(before: Array, after: Array, *, are_classes: bool = False) -> Change:
    """Compares an output before and after; `are_classes`: whether it is of class scores, whatever its values."""
    wide_before, wide_after = before.astype(np.float64), after.astype(np.float64)
    agreement = None
    if are_probabilities(before) or (are_classes and before.ndim == 2 and before.shape[1] > 1):
        agreement = float(np.mean(before.argmax(axis=1) == after.argmax(axis=1)))
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.mean(np.abs(wide_before - wide_after)))
        spread = max(_spread(wide_before), _spread(wide_after))
    return Change(tolerance.deviation(after, before), mean, tolerance.scale(before), spread, agreement)


def changes(before: Arrays, after: Arrays, classes: Collection[str] = ()) -> dict[str, Change]:
    """Compares every output; `classes` are outputs of class scores, where labels show that they are."""
    return {name: change(before[name], after[name], are_classes=name in classes) for name in before}


def _spread(array: Array) -> float:
    return float(np.mean(array.std(axis=0)))
