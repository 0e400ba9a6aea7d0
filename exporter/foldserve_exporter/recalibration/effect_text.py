"""What a recalibration did, in words."""

from collections.abc import Iterator, Mapping

from ..predictions.change import Change
from ..predictions.scores import Scores
from .recalibrate import RecalibrationResult


def recalibration_lines(done: RecalibrationResult) -> Iterator[str]:
    """A line for the whole, and two for every output."""
    yield f"recalibrated {len(done.layers)} BatchNormalization on {done.samples:,} samples"
    yield from effect_lines(done.changes, done.before, done.after)


def effect_lines(
    changes: Mapping[str, Change], before: Mapping[str, Scores], after: Mapping[str, Scores]
) -> Iterator[str]:
    """What it did to every output's predictions, and to its scores where there are any."""
    for name, change in changes.items():
        agreement = (
            "" if change.agreement is None else f"; {1 - change.agreement:.0%} of the samples change their class"
        )
        yield f"{name}: predictions change by up to {change.largest:.3g}, {change.mean:.3g} on average{agreement}"
    for name, scores in before.items():
        yield f"{name}: {scores} before, {after[name]} after"
