"""Checks of the predictions as a whole: in both phases, with labels, on batch statistics."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..predictions.change import Change
from ..predictions.change_text import same_class_text
from ..predictions.scores import PredictionTask, Scores
from .drift import LayerDrift
from .evidence import Comparison, SampleEvidence
from .finding import GRAVE, RECALIBRATE, Finding, FindingKind, Severity, severity_of, size_of

_POINTS = 0.02
_MUCH = 0.1
APART = 0.15
_BLIND = 0.6  # AUC


def phase_gaps(sampled: SampleEvidence) -> Iterator[Finding]:
    """Learning phases that are apart, each output by its own labels where it has any."""
    if sampled.phase_1 is None:
        return
    explained = _drifts_explain_a_gap(sampled.drifts, sampled.limit)
    for name, gap in sampled.phase_1.changes.items():
        if name in sampled.scores:
            yield from _labelled_gap(name, gap, sampled.scores[name], sampled.phase_1)
        elif explained:
            yield from _unlabelled_gap(name, gap, sampled.rows)


def frozen_faults(sampled: SampleEvidence) -> Iterator[Finding]:
    """Frozen layers below a head that was trained on batch statistics, as Keras before 2.2.0 did it."""
    if sampled.thawed is None:
        return
    frozen = [drift for drift in sampled.drifts if drift.frozen]
    gain = largest_gain(sampled.scores, sampled.thawed.scores)
    if gain is None:
        yield from _frozen_on_other_data(sampled, frozen)
    elif gain > 0:
        what = (
            f"{len(frozen)} BatchNormalization are frozen, yet the model is better on batch statistics"
            f" ({_scored(sampled.scores, sampled.thawed)}): it was trained on them, as Keras before 2.2 did in frozen"
            " layers too"
        )
        kind, effect = FindingKind.FROZEN_BUT_TRAINED, sampled.thawed.largest
        yield Finding(kind, Severity.ERROR, frozen[0].layer, what, effect, RECALIBRATE)


def scaling_faults(sampled: SampleEvidence) -> Iterator[Finding]:
    """Outputs whose order is right and whose values are wrong."""
    if sampled.recalibrated is None:
        return
    for name, scores in sampled.scores.items():
        if scores.is_scaling_fault:
            what = (
                f"output {name!r}: {scores} (by chance {scores.chance:.3g}): the order is right and the values are"
                " wrong, as only a scale or an offset inside the model does it"
            )
            effect = sampled.recalibrated.changes[name]
            yield Finding(FindingKind.SCALING_FAULT, Severity.ERROR, None, what, effect, RECALIBRATE)


def largest_gain(before: Mapping[str, Scores], after: Mapping[str, Scores]) -> float | None:
    """The gain of the output that gains most; 0 where the predictions are not better, None without labels."""
    return max((_gain(scores, after[name]) for name, scores in before.items()), default=None)


def _labelled_gap(name: str, gap: Change, scores: Scores, phase_1: Comparison) -> Iterator[Finding]:
    gain = _gain(scores, phase_1.scores[name])
    if gain > 0 and np.isfinite(gap.largest):
        what = f"{_apart(name, gap)}; {_scored({name: scores}, phase_1)}"
        severity = Severity.ERROR if gain >= _MUCH else severity_of(gap, Severity.WARNING)
        yield Finding(FindingKind.PHASE_GAP, severity, None, what, gap, RECALIBRATE)


def _unlabelled_gap(name: str, gap: Change, rows: int) -> Iterator[Finding]:
    """Learning phases of one output that are further apart than so many samples leave them by chance."""
    if gap.size > APART + 2 / np.sqrt(rows) and np.isfinite(gap.largest):
        severity = Severity.ERROR if gap.size >= GRAVE else Severity.WARNING
        yield Finding(FindingKind.PHASE_GAP, severity, None, _apart(name, gap), gap, RECALIBRATE)


def _drifts_explain_a_gap(drifts: Sequence[LayerDrift], limit: float) -> bool:
    """Tests whether the layers' drifts, taken together, may be why the phases are apart.

    Where the statistics are right, a gap is left where predictions hardly differ between samples, and so change their
    class with the least drift.
    """
    together = float(np.sqrt(sum(drift.drift**2 for drift in drifts if not drift.frozen)))
    return together > limit / 2


def _apart(name: str, gap: Change) -> str:
    size = f"up to {gap.largest:.3g}, {gap.mean:.3g} on average"
    return f"output {name!r} differs by {size}, between phase 0 and 1{same_class_text(gap)}"


def _frozen_on_other_data(sampled: SampleEvidence, frozen: Sequence[LayerDrift]) -> Iterator[Finding]:
    """Frozen layers that drift; only labels could show if that is a fault.

    They are noted where they change the predictions much or, where not every effect is measured, where they drift.
    """
    every = sampled.budget.measured_layers is None
    drifts = frozen if every else [drift for drift in frozen if drift.exceeds(sampled.limit)]
    measured = [drift for drift in drifts if drift.effect]
    worst = max(measured, key=lambda drift: size_of(drift.effect), default=None)
    if not drifts or (every and (worst is None or size_of(worst.effect) < GRAVE)):
        return
    what = (
        f"{len(drifts)} BatchNormalization are frozen on statistics that are not those of the samples: as it should"
        " be where the head was trained on them, a fault where Keras before 2.2 trained it on batch statistics"
    )
    layer, effect = (worst.layer, worst.effect) if worst is not None else (drifts[0].layer, None)
    remedy = "Give --labels, which tell the two apart."
    if sampled.budget.during_export:
        layer, remedy = drifts[0].layer, "diagnose-model with --labels tells the two apart."
    yield Finding(FindingKind.FROZEN_BUT_TRAINED, Severity.NOTE, layer, what, effect, remedy)


def _scored(before: Mapping[str, Scores], other: Comparison) -> str:
    return "; ".join(
        f"{scores} in phase 0, {other.scores[name]} on batch statistics" for name, scores in before.items()
    )


def _gain(before: Scores, after: Scores) -> float:
    """The gain in accuracy, or in the share of the labels' variance that is explained; 0 where it may be chance."""
    if before.task is PredictionTask.REGRESSION:
        saved = before.fit - after.fit
        explained = saved / before.chance if before.chance > 0 else 0.0
        return explained if saved > 5 * _POINTS * before.fit and explained > _POINTS / 2 else 0.0
    if after.order < _BLIND:  # a model that cannot order the classes may be right a little more often by chance
        return 0.0
    gained = after.fit - before.fit
    return gained if gained > max(_POINTS, 2 * before.error) else 0.0
