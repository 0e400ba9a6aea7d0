"""Scores of predictions against labels: accuracy or error, and rank correlation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import Array, Arrays

from ..samples.images import MAX_IMAGES
from .balanced import balanced_accuracy

_SKEWED = 0.15
_NEAR = 0.35  # of the way from chance to always right
_REGAINED = 0.3  # of all predictions
_MOST_ERRORS = 0.65


class LabelsError(FoldserveError):
    """The labels cannot be read, or do not fit the predictions."""


class PredictionTask(StrEnum):
    """Task of an output, as implied by its labels."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of an output against its labels.

    Attributes:
        task: Classification or regression.
        fit: Accuracy, or the mean squared error.
        order: AUC (one class against the rest, averaged over classes), or Spearman's correlation: whether the order of
            the predictions is right, whatever their scale. NaN where there is nothing to order.
        chance: Accuracy of always answering the most frequent class, or the variance of the labels.
        rows: The number of rows.
        skew: Share of the predictions that would have to be of other classes for each class to be predicted as often as
            it occurs in the labels; 0 for a regression.
        balanced: Accuracy once it is, by a constant for each class; computed only where `is_skewed`, else None.
    """

    task: PredictionTask
    fit: float
    order: float
    chance: float
    rows: int
    skew: float = 0.0
    balanced: float | None = None

    @property
    def is_scaling_fault(self) -> bool:
        """True if the order is right and the values are wrong, which only a wrong scale or offset can cause.

        A healthy model of a rare class is hardly better than chance either, but predicts each class about as often as
        it occurs; one that has learned little, or always predicts the most frequent class, is not much better with
        other constants.
        """
        if self.task is PredictionTask.REGRESSION:
            return self.order > 0.8 and self.fit > self.chance
        if self.balanced is None:
            return False
        return self.balanced - self.fit > max(_REGAINED, _MOST_ERRORS * (1 - self.fit))

    @property
    def is_skewed(self) -> bool:
        """True if few predictions are right although their order is, and some classes are predicted too often."""
        near = self.chance + _NEAR * (1 - self.chance)
        return self.order > 0.85 and self.skew > _SKEWED and self.fit < near

    @property
    def error(self) -> float:
        """Standard error of the accuracy; 0 for a regression."""
        if self.task is PredictionTask.REGRESSION:
            return 0.0
        return float(np.sqrt(max(self.fit * (1 - self.fit), 1 / self.rows) / self.rows))

    def __str__(self) -> str:
        if self.task is PredictionTask.REGRESSION:
            return f"MSE {self.fit:.4g}, Spearman {self.order:.3f}"
        return f"accuracy {self.fit:.1%}, AUC {self.order:.3f}"


def fit_labels(labels: Any, outputs: tuple[str, ...], rows: int) -> dict[str, Array]:
    """Checks labels, an array for the first output or a mapping, and returns them by output.

    Raises:
        LabelsError: An output or the number of rows does not fit.
    """
    given = dict(labels) if isinstance(labels, Mapping) else {outputs[0]: np.asarray(labels)}
    if len(given) == 1 and len(outputs) == 1:
        given = {outputs[0]: next(iter(given.values()))}
    for name, array in given.items():
        if name not in outputs:
            raise LabelsError(f"there are labels for {name!r}, but the model's outputs are {list(outputs)}")
        if array.ndim == 0 or len(array) != rows or array.dtype.kind not in "biuf":
            hint = f"; of a folder, {MAX_IMAGES} images are read" if rows == MAX_IMAGES else ""
            raise LabelsError(
                f"labels for {name!r}: expected {rows} rows of numbers, received {array.dtype}{list(array.shape)}{hint}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise LabelsError(f"labels for {name!r}: row {row} holds a value that is not finite")
    return given


def score(outputs: Arrays, labels: Arrays) -> dict[str, Scores]:
    """Scores every output that has labels.

    Raises:
        LabelsError: Labels are for other classes than the output has, or are of another shape.
    """
    return {name: _score(name, outputs[name].astype(np.float64), labels[name]) for name in labels}


def classified(scores: Mapping[str, Scores]) -> frozenset[str]:
    """The outputs whose labels are classes."""
    return frozenset(name for name, score in scores.items() if score.task is PredictionTask.CLASSIFICATION)


def _score(name: str, predicted: Array, labels: Array) -> Scores:
    if not _are_classes(predicted, labels):
        return _regression(name, predicted, labels)
    if predicted.ndim != 2:
        raise LabelsError(f"output {name!r} of shape {predicted.shape} is not a vector of classes; give it no labels")
    return _classification(name, predicted, _classes(name, predicted, labels))


def _are_classes(predicted: Array, labels: Array) -> bool:
    """Tests whether labels are classes: whole numbers by dtype, one-hot rows, or floats that can only be classes."""
    if labels.dtype.kind != "f" or _is_one_hot(labels):
        return True
    if predicted.ndim != 2 or labels.size != len(labels):
        return False
    return bool(np.isin(labels, np.arange(max(predicted.shape[1], 2))).all())


def _is_one_hot(labels: Array) -> bool:
    is_matrix = labels.ndim == 2 and labels.shape[1] > 1
    return is_matrix and bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _classes(name: str, predicted: Array, labels: Array) -> Array:
    if labels.size == len(labels):
        return labels.reshape(len(labels)).astype(np.int64)
    if labels.shape != predicted.shape or not _is_one_hot(labels):
        raise LabelsError(
            f"labels for {name!r} of shape {list(labels.shape)} are neither class numbers nor one-hot rows for an"
            f" output of shape {list(predicted.shape)}; if they are values, give them as floats"
        )
    classes: Array = labels.argmax(axis=1).astype(np.int64)
    return classes


def _classification(name: str, predicted: Array, classes: Array) -> Scores:
    count = predicted.shape[1]
    if classes.min() < 0 or classes.max() >= max(count, 2):
        raise LabelsError(
            f"labels for {name!r} are {classes.min()}…{classes.max()}, but it has {max(count, 2)} classes; if they are"
            " values instead of classes, give them as floats"
        )
    # a single output is the score of class 1: a probability, or a logit where it leaves 0…1
    if count == 1:
        threshold = 0.5 if predicted.min() >= 0 and predicted.max() <= 1 else 0.0
        answered, by_class = (predicted[:, 0] > threshold).astype(np.int64), {1: predicted[:, 0]}
        both = np.stack([np.full(len(classes), threshold), predicted[:, 0]], axis=1)
    else:
        both = predicted
        answered, by_class = predicted.argmax(axis=1), {label: predicted[:, label] for label in np.unique(classes)}
    # skew: half the sum of |share of predictions − share of labels| over the classes
    wanted = np.bincount(classes, minlength=max(count, 2)) / len(classes)
    skew = float(np.abs(np.bincount(answered, minlength=len(wanted)) / len(answered) - wanted).sum() / 2)
    fit, order = float(np.mean(answered == classes)), float(np.mean(_areas(by_class, classes)))
    scores = Scores(PredictionTask.CLASSIFICATION, fit, order, float(wanted.max()), len(classes), skew)
    return replace(scores, balanced=balanced_accuracy(both, classes)) if scores.is_skewed else scores


def _regression(name: str, predicted: Array, labels: Array) -> Scores:
    wanted = labels.astype(np.float64).reshape(len(labels), -1)
    given = predicted.reshape(len(predicted), -1)
    if wanted.shape != given.shape:
        raise LabelsError(
            f"labels for {name!r} are values of shape {list(labels.shape)}, and the output has"
            f" {list(predicted.shape)}; give as many, or class numbers as whole numbers"
        )
    order = [_correlation(ranks(given[:, i]), ranks(wanted[:, i])) for i in range(given.shape[1])]
    error, variance = float(np.mean((given - wanted) ** 2)), float(np.mean(wanted.var(axis=0)))
    return Scores(PredictionTask.REGRESSION, error, float(np.mean(order)), variance, len(wanted))


def _areas(scores: Mapping[int, Array], classes: Array) -> list[float]:
    return [_area(column, classes == label) for label, column in scores.items()]


def _area(scores: Array, positive: Array) -> float:
    """Area under the ROC curve by the rank sum of Mann and Whitney; NaN where all or none are positive."""
    hits = int(positive.sum())
    misses = len(positive) - hits
    if not hits or not misses or not np.isfinite(scores).all():
        return float("nan")
    return float((ranks(scores)[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def ranks(values: Array) -> Array:
    """Ranks from 1, equal values sharing their mean rank."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Array = (last - (counts - 1) / 2)[position]
    return shared


def _correlation(first: Array, second: Array) -> float:
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
