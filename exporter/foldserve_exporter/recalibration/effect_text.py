"""Text about the effect of a recalibration."""

from collections.abc import Iterator, Mapping

from ..predictions.change import Change
from ..predictions.change_text import change_text
from ..predictions.scores import Scores
from .recalibrate import RecalibrationResult


def recalibration_lines(result: RecalibrationResult) -> Iterator[str]:
    """Describes a recalibration: a line for the whole, and up to two for every output."""
    yield f"recalibrated {len(result.layers)} BatchNormalization on {result.samples:,} samples"
    yield from effect_lines(result.changes, result.before, result.after)


def effect_lines(
    changes: Mapping[str, Change], before: Mapping[str, Scores], after: Mapping[str, Scores]
) -> Iterator[str]:
    """Describes the effect on every output's predictions, and on its scores where there are any."""
    for name, change in changes.items():
        yield f"{name}: predictions change by {change_text(change)}"
    for name, scores in before.items():
        yield f"{name}: {scores} before, {after[name]} after"
