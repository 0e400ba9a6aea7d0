"""Faults that samples show."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..graph import Op
from ..predictions.change import Change
from ..predictions.scores import PredictionTask, Scores
from .drift import LayerDrift, threshold
from .evidence import Compared, Evidence
from .finding import RECALIBRATE, Finding, Kind, Severity
from .stored import is_untouched, tiny

_GRAVE = 0.25
_NOTICED = 0.05
_FIRST_LAYERS = 1.2
_INITIAL = (0.05, 0.98)  # less is what a healthy training leaves; all of it is something else
_POINTS = 0.02
_MUCH = 0.1
_MOST = 0.5
_APART = 0.15
_BLIND = 0.6  # AUC


def drift_faults(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose statistics are not those of the samples.

    A frozen layer whose statistics differ is a fault only where labels say that the others would be better: a head
    that was trained on a frozen backbone is used to them.
    """
    limit = threshold(len(next(iter(evidence.inputs.values()))))
    drifted = [(op, drift) for op, drift in evidence.drifts if drift.drift > limit and np.isfinite(drift.log_ratio)]
    helps = _gain(evidence.scores, evidence.recalibrated.scores)
    drifts = [drift for _, drift in evidence.drifts]
    for op, drift in drifted:
        if drift.frozen and (helps is None or helps <= 0):
            yield from _frozen_untouched(op, drift)
            continue
        kind, why = kind_of(op, drift, drifts)
        yield Finding(kind, severity_of(drift.effect), drift.layer, told(drift, why), drift.effect, RECALIBRATE)


def _frozen_untouched(op: Op, drift: LayerDrift) -> Iterator[Finding]:
    if is_untouched(op):
        what = "it is frozen on mean 0 and variance 1, as Keras begins: are the weights missing that it should have?"
        remedy = "Load its weights before it is frozen. Where it was meant so, nothing is wrong."
        yield Finding(Kind.UNTOUCHED, Severity.NOTE, drift.layer, what, drift.effect, remedy)


def whole_faults(evidence: Evidence) -> Iterator[Finding]:
    """What is wrong with the predictions as a whole."""
    yield from _phase_gap(evidence)
    yield from _frozen_but_trained(evidence)
    for name, scores in evidence.scores.items():
        if scores.is_scaling_fault:
            what = (
                f"output {name!r}: {scores} (by chance {scores.chance:.3g}): the order is right and the values are"
                " wrong, as only a scale or an offset inside the model does it"
            )
            effect = evidence.recalibrated.changes[name]
            yield Finding(Kind.SCALING_FAULT, Severity.ERROR, None, what, effect, RECALIBRATE)


def told(drift: LayerDrift, why: str) -> str:
    """A layer's drift in words."""
    return (
        f"its mean is off by {drift.shift:.2f} deviations of the data on average (up to {drift.largest_shift:.1f}),"
        f" its variance by a factor of {np.exp(drift.log_ratio):.2g}: {why}"
    )


def kind_of(op: Op, drift: LayerDrift, drifts: Sequence[LayerDrift]) -> tuple[Kind, str]:
    """What a layer's drift is, and why, in words.

    Args:
        op: The layer.
        drift: Its drift.
        drifts: All layers' drifts, in the order of the graph.
    """
    if drift.tiny > _MOST:
        small = tiny(op)
        return Kind.TINY_VARIANCE, (
            f"the variance of {small.sum()} of {small.size} channels is below a thousandth of epsilon"
            f" ({op.config['epsilon']:g}): constant in training, they amplify what varies there in these samples"
        )
    if is_untouched(op):
        return Kind.UNTOUCHED, "they are 0 and 1, as Keras begins; they were never updated"
    if drift.residue is not None and _INITIAL[0] <= drift.residue < _INITIAL[1]:
        momentum = float(op.config["momentum"])
        steps = np.log(drift.residue) / np.log(momentum) if 0 < momentum < 1 else float("nan")
        return Kind.LAGGING, (
            f"{drift.residue:.0%} of their initial value is left, which with momentum {momentum:g} means"
            f" about {steps:.0f} steps of training"
        )
    first, *others = drifts
    if drift.layer == first.layer and others and drift.drift > _FIRST_LAYERS * max(each.drift for each in others):
        return Kind.OTHER_DATA, (
            "this is the first layer, and it drifts most: the samples are not what it was trained on (another domain,"
            " other preprocessing), or it was fine-tuned on them in too few steps"
        )
    return Kind.STALE, "the weights before it have moved since they were taken"


def _size(drift: LayerDrift) -> float:
    return 0.0 if drift.effect is None else drift.effect.size


def severity_of(effect: Change | None, least: Severity = Severity.NOTE) -> Severity:
    """How much a change of the predictions matters; never less than `least`."""
    size = 0.0 if effect is None else effect.size
    found = Severity.ERROR if size >= _GRAVE else Severity.WARNING if size >= _NOTICED else Severity.NOTE
    return min(found, least, key=lambda each: each.rank)


def _phase_gap(evidence: Evidence) -> Iterator[Finding]:
    """Each output by its own labels, where it has any: the fault of one branch is none of another's."""
    rows = len(next(iter(evidence.inputs.values())))
    for name, gap in evidence.phase_1.changes.items():
        if name not in evidence.scores:
            if drifts_explain_a_gap([drift for _, drift in evidence.drifts], rows):
                yield from phase_gap(name, gap, rows)
            continue
        scores = {name: evidence.scores[name]}
        gain = _better(scores[name], evidence.phase_1.scores[name])
        if gain > 0 and np.isfinite(gap.largest):
            what = f"{_apart(name, gap)}; {_told(scores, evidence.phase_1)}"
            severity = Severity.ERROR if gain >= _MUCH else severity_of(gap, Severity.WARNING)
            yield Finding(Kind.PHASE_GAP, severity, None, what, gap, RECALIBRATE)


def drifts_explain_a_gap(drifts: Sequence[LayerDrift], rows: int) -> bool:
    """Whether the layers' drifts, taken together, may be why the phases are apart.

    Where the statistics are right, what is left are predictions that hardly differ between samples, and so change their
    class with anything.
    """
    together = float(np.sqrt(sum(drift.drift**2 for drift in drifts if not drift.frozen)))
    return together > threshold(rows) / 2


def phase_gap(name: str, gap: Change, rows: int) -> Iterator[Finding]:
    """Learning phases of one output that are further apart than so many samples leave them by chance."""
    if gap.size > _APART + 2 / np.sqrt(rows) and np.isfinite(gap.largest):
        severity = Severity.ERROR if gap.size >= _GRAVE else Severity.WARNING
        yield Finding(Kind.PHASE_GAP, severity, None, _apart(name, gap), gap, RECALIBRATE)


def _apart(name: str, gap: Change) -> str:
    same = "" if gap.agreement is None else f"; the same class for {gap.agreement:.0%} of the samples"
    return f"output {name!r} differs by up to {gap.largest:.3g}, {gap.mean:.3g} on average, between phase 0 and 1{same}"


def _frozen_but_trained(evidence: Evidence) -> Iterator[Finding]:
    """Keras before 2.2.0 normalised with batch statistics in frozen layers, and trained what is above on them."""
    thawed = evidence.thawed
    if thawed is None:
        return
    gain = _gain(evidence.scores, thawed.scores)
    frozen = [drift.layer for _, drift in evidence.drifts if drift.frozen]
    if gain is not None and gain > 0:
        what = (
            f"{len(frozen)} BatchNormalization are frozen, yet the model is better on batch statistics"
            f" ({_told(evidence.scores, thawed)}): it was trained on them, as Keras before 2.2 did in frozen layers too"
        )
        effect = max(thawed.changes.values(), key=lambda each: each.size)
        yield Finding(Kind.FROZEN_BUT_TRAINED, Severity.ERROR, frozen[0], what, effect, RECALIBRATE)
    worst = max((d for _, d in evidence.drifts if d.frozen and d.effect), key=lambda d: _size(d), default=None)
    if gain is None and worst is not None and _size(worst) >= _GRAVE:
        what = (
            f"{len(frozen)} BatchNormalization are frozen on statistics that are not those of the samples: as it should"
            " be where the head was trained on them, a fault where Keras before 2.2 trained it on batch statistics"
        )
        remedy = "Give --labels, which tell the two apart."
        yield Finding(Kind.FROZEN_BUT_TRAINED, Severity.NOTE, worst.layer, what, worst.effect, remedy)


def _gain(before: Mapping[str, Scores], after: Mapping[str, Scores]) -> float | None:
    """By how much labels say that predictions are better, beyond chance; 0 where they are not, None without labels."""
    gains = [_better(scores, after[name]) for name, scores in before.items()]
    return max(gains, default=None)


def _better(before: Scores, after: Scores) -> float:
    """The gain in accuracy, or in the share of the labels' variance that is explained; 0 where it may be chance."""
    if before.task is PredictionTask.REGRESSION:
        saved = before.fit - after.fit
        explained = saved / before.chance if before.chance > 0 else 0.0
        return explained if saved > 5 * _POINTS * before.fit and explained > _POINTS / 2 else 0.0
    if after.order < _BLIND:  # whoever knows no class may be right a little more often by chance
        return 0.0
    gained = after.fit - before.fit
    return gained if gained > max(_POINTS, 2 * before.error) else 0.0


def _told(before: Mapping[str, Scores], other: Compared) -> str:
    return "; ".join(
        f"{scores} in phase 0, {other.scores[name]} on batch statistics" for name, scores in before.items()
    )
