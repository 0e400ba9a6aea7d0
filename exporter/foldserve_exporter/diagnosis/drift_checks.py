"""Checks of every layer's statistics against those of the samples."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..graph import Op
from .drift import LayerDrift
from .evidence import SampleEvidence
from .finding import RECALIBRATE, Finding, FindingKind, Severity, severity_of
from .layer_weights import is_untouched, tiny
from .prediction_checks import largest_gain

_FIRST_LAYERS = 1.2
_INITIAL = (0.05, 0.98)  # less is what a healthy training leaves; all of it is something else
_MOST = 0.5


def drift_faults(sampled: SampleEvidence) -> Iterator[Finding]:
    """Layers whose statistics are not those of the samples.

    A frozen layer whose statistics differ is a fault only where labels show that the others would be better: a head
    that was trained on a frozen backbone is used to them.
    """
    with_frozen, unmeasured = _recalibrating_helps(sampled), []
    for layer in sampled.layers:
        drift = layer.drift
        if not drift.exceeds(sampled.limit):
            continue
        if drift.frozen and not with_frozen:
            # one note stands for all frozen layers where not every effect is measured
            if sampled.budget.measured_layers is None:
                yield from _frozen_untouched(layer.op, drift)
            continue
        kind, why = kind_of(layer.op, drift, sampled.drifts)
        if drift.effect is None and kind is not FindingKind.UNTOUCHED:
            unmeasured.append(drift.layer)
            continue
        severity = severity_of(drift.effect)
        yield Finding(kind, severity, drift.layer, _described(drift, why), drift.effect, RECALIBRATE)
    if unmeasured:
        yield _unmeasured(sampled, unmeasured)


def kind_of(op: Op, drift: LayerDrift, drifts: Sequence[LayerDrift]) -> tuple[FindingKind, str]:
    """The kind of a layer's drift, and its cause in words.

    Args:
        op: The layer.
        drift: Its drift.
        drifts: All layers' drifts, in the order of the graph.
    """
    if drift.tiny > _MOST:
        small = tiny(op)
        return FindingKind.TINY_VARIANCE, (
            f"the variance of {small.sum()} of {small.size} channels is below a thousandth of epsilon"
            f" ({op.config['epsilon']:g}): constant in training, they amplify what varies there in these samples"
        )
    if is_untouched(op):
        return FindingKind.UNTOUCHED, "they are 0 and 1, as Keras begins; they were never updated"
    if drift.residue is not None and _INITIAL[0] <= drift.residue < _INITIAL[1]:
        momentum = float(op.config["momentum"])
        steps = np.log(drift.residue) / np.log(momentum) if 0 < momentum < 1 else float("nan")
        return FindingKind.LAGGING, (
            f"{drift.residue:.0%} of their initial value is left, which with momentum {momentum:g} means"
            f" about {steps:.0f} steps of training"
        )
    first, *others = drifts
    if drift.layer == first.layer and others and drift.drift > _FIRST_LAYERS * max(other.drift for other in others):
        return FindingKind.OTHER_DATA, (
            "this is the first layer, and it drifts most: the samples are not what it was trained on (another domain,"
            " other preprocessing), or it was fine-tuned on them in too few steps"
        )
    return FindingKind.STALE, "the weights before it have moved since they were taken"


def _recalibrating_helps(sampled: SampleEvidence) -> bool:
    """Tests whether labels are met better on the samples' statistics."""
    if sampled.recalibrated is None:
        return False
    return (largest_gain(sampled.scores, sampled.recalibrated.scores) or 0.0) > 0


def _described(drift: LayerDrift, why: str) -> str:
    return (
        f"its mean is off by {drift.shift:.2f} deviations of the data on average (up to {drift.largest_shift:.1f}),"
        f" its variance by a factor of {np.exp(drift.log_ratio):.2g}: {why}"
    )


def _frozen_untouched(op: Op, drift: LayerDrift) -> Iterator[Finding]:
    if is_untouched(op):
        what = "it is frozen on mean 0 and variance 1, as Keras begins: are the weights missing that it should have?"
        remedy = "Load its weights before it is frozen. Where it was meant so, nothing is wrong."
        yield Finding(FindingKind.UNTOUCHED, Severity.NOTE, drift.layer, what, drift.effect, remedy)


def _unmeasured(sampled: SampleEvidence, layers: Sequence[str]) -> Finding:
    """Finding for all drifting layers whose effects the budget leaves unmeasured."""
    batch = sampled.thawed or sampled.phase_1
    effect = None if batch is None else batch.largest
    what = f"{len(layers)} more layers drift, less than these ({', '.join(layers[:3])}, …); the effect is that of all"
    return Finding(FindingKind.STALE, severity_of(effect), None, what, effect, RECALIBRATE)
