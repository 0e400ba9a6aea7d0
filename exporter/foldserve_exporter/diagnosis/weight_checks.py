"""Checks of the weights alone, which need no data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from foldserve_contract.signature import Array

from ..graph import Graph, Op
from .evidence import Evidence, SampleEvidence
from .finding import RECALIBRATE, RELOAD, RETRAIN, Finding, FindingKind, Severity
from .layer_weights import constant, dead, exploding, gain, is_untouched, unique_ops, wide
from .weight_probe import WeightProbe

_BY_SAMPLES = (
    FindingKind.TINY_VARIANCE,
    FindingKind.UNTOUCHED,
)  # no faults where the samples agree with the statistics
_NOT_NUMBERS = (FindingKind.NON_FINITE, FindingKind.NEGATIVE_VARIANCE)
_SILENCED: dict[FindingKind, Callable[[Op], Array]] = {
    FindingKind.DEAD_GAIN: dead,
    FindingKind.EXPLODING_GAIN: exploding,
}
_MANY = 0.05


def weight_faults(evidence: Evidence) -> Iterator[Finding]:
    """Faults of the weights, and values that are not finite although all weights are."""
    stored, sampled = list(stored_faults(evidence.graph)), evidence.sampled
    if sampled is None:
        yield from stored
    else:
        yield from _with_effects(evidence.graph, sampled, [fault for fault in stored if fault.kind not in _BY_SAMPLES])
    if evidence.overflows and not any(fault.kind in _NOT_NUMBERS for fault in stored):
        what = "the predictions are not finite, though all weights are"
        remedy = "Look for weights so large that values overflow, and for divisions by 0."
        yield Finding(FindingKind.NON_FINITE, Severity.ERROR, None, what, None, remedy)
    if evidence.unmeasurable and not stored:
        what = f"the samples' statistics cannot be taken: {evidence.unmeasurable}"
        yield Finding(FindingKind.NON_FINITE, Severity.ERROR, None, what, None, "See the layer that is named.")


def stored_faults(graph: Graph) -> Iterator[Finding]:
    """Faults of every layer's own weights, without their effects.

    In layers that do not normalise, only weights that are not finite are faults.
    """
    normalising = {id(node.op) for node in graph.batch_norms}
    for op in unique_ops(graph.nodes):
        if id(op) not in normalising:
            yield from _not_finite(op)
            continue
        broken = list(_broken(op))
        yield from broken or _suspicious(op)


def permutation_faults(sampled: SampleEvidence) -> Iterator[Finding]:
    """Weights that were loaded in another order than they were saved in."""
    if sampled.permutation is None or sampled.rearranged is None:
        return
    permutation, drift = sampled.permutation, float(np.mean([drift.drift for drift in sampled.drifts]))
    what = (
        f"{permutation.moved} weights fit the samples if they are put in another order (mean drift"
        f" {permutation.drift:.2g} instead of {drift:.2g}): a legacy .h5 was loaded into it with other trainable flags"
        " than it was saved with"
    )
    effect = sampled.rearranged.largest
    yield Finding(FindingKind.PERMUTED, Severity.ERROR, permutation.scope, what, effect, RELOAD)


def _with_effects(graph: Graph, sampled: SampleEvidence, stored: Sequence[Finding]) -> Iterator[Finding]:
    """The faults with their effects on the predictions, where the model was run on recalibrated statistics."""
    if sampled.recalibrated is None or not stored:
        yield from stored
        return
    probe = WeightProbe.of(graph, sampled.inputs, sampled.budget.effect_rows)
    ops = {op.path: op for op in unique_ops(graph.batch_norms)}
    for fault in stored:
        effect, channels = sampled.recalibrated.largest, _SILENCED.get(fault.kind)
        if channels is not None and fault.layer is not None:
            effect = probe.silenced(ops[fault.layer], channels)
        yield replace(fault, effect=effect)


def _not_finite(op: Op) -> Iterator[Finding]:
    for weight in op.weights:
        count = int(np.sum(~np.isfinite(weight.value)))
        if count:
            what = f"{weight.name} holds {count} of {weight.value.size} values that are not finite"
            remedy = RECALIBRATE if weight.name.startswith("moving") else RETRAIN
            yield Finding(FindingKind.NON_FINITE, Severity.ERROR, op.path, what, None, remedy)


def _broken(op: Op) -> Iterator[Finding]:
    yield from _not_finite(op)
    variance = wide(op, "moving_variance", 1.0)
    negative = int(np.sum(variance < 0))
    if negative:
        what = (
            f"moving_variance is negative in {negative} of {variance.size} channels (down to {variance.min():.3g}):"
            " no training gives that, weights in wrong places do"
        )
        yield Finding(FindingKind.NEGATIVE_VARIANCE, Severity.ERROR, op.path, what, None, RELOAD)


def _suspicious(op: Op) -> Iterator[Finding]:
    if is_untouched(op):
        what = "mean 0 and variance 1 in every channel: the statistics that Keras begins with were never updated"
        yield Finding(FindingKind.UNTOUCHED, Severity.WARNING, op.path, what, None, RECALIBRATE)
    large, small, silent = exploding(op), constant(op), dead(op)
    if large.any():
        most = np.nanmax(np.abs(gain(op)))
        what = f"|γ|/√(σ²+ε) is up to {most:.3g} in {large.sum()} of {large.size} channels: noise becomes signal"
        yield Finding(FindingKind.EXPLODING_GAIN, Severity.WARNING, op.path, what, None, RETRAIN)
    elif small.any():
        what = (
            f"the variance of {small.sum()} of {small.size} channels is below a thousandth of epsilon"
            f" ({op.config['epsilon']:g}): constant in training, they amplify whatever varies there in service"
        )
        yield Finding(FindingKind.TINY_VARIANCE, Severity.NOTE, op.path, what, None, RECALIBRATE)
    if silent.any():
        severity = Severity.WARNING if silent.mean() >= _MANY else Severity.NOTE
        what = f"γ is 0 in {silent.sum()} of {silent.size} channels: whatever comes in, they answer β"
        yield Finding(FindingKind.DEAD_GAIN, severity, op.path, what, None, RETRAIN)
