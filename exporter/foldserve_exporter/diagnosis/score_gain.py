"""The gain that labels show in other predictions, beyond chance."""

from collections.abc import Mapping

from ..predictions.scores import Scores, Task

_POINTS = 0.02
_BLIND = 0.6  # AUC


def largest_gain(before: Mapping[str, Scores], after: Mapping[str, Scores]) -> float | None:
    """The gain of the output that gains most; 0 where the predictions are not better, None without labels."""
    return max((gain_of(scores, after[name]) for name, scores in before.items()), default=None)


def gain_of(before: Scores, after: Scores) -> float:
    """The gain in accuracy, or in the share of the labels' variance that is explained; 0 where it may be chance."""
    if before.task is Task.REGRESSION:
        saved = before.fit - after.fit
        explained = saved / before.chance if before.chance > 0 else 0.0
        return explained if saved > 5 * _POINTS * before.fit and explained > _POINTS / 2 else 0.0
    if after.order < _BLIND:  # a model that cannot order the classes may be right a little more often by chance
        return 0.0
    gained = after.fit - before.fit
    return gained if gained > max(_POINTS, 2 * before.error) else 0.0
