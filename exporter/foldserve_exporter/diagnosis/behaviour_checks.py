"""Checks of the caller's model, run as it is."""

from collections.abc import Iterator, Sequence

from ..predictions.change import Change
from .evidence import Evidence
from .finding import DIAGNOSE, EXPORT, REMOVE_PHASE, Finding, FindingKind, Severity

_NAMED = 3
_NEIGHBOURS = "predict answers a row differently among other rows: a statistic is taken over the batch"


def behaviour_faults(evidence: Evidence) -> Iterator[Finding]:
    """Everything that inference must not do."""
    yield from _moving_statistics(evidence)
    yield from _random(evidence)
    yield from _neighbours(evidence)
    yield from _predict_differs(evidence)
    yield from _baked_phase(evidence)
    yield from _live_randomness(evidence)


def _moving_statistics(evidence: Evidence) -> Iterator[Finding]:
    moved, effect = evidence.behaviour.moved, evidence.behaviour.moving
    if moved:
        what = (
            f"predict changes {len(moved)} variables ({_some(moved)}): a layer calls its BatchNormalization with"
            " training=True, so that every request changes the answers to the next"
        )
        remedy = f"Pass the training argument of call() on to the layers inside. {EXPORT}"
        layer = moved[0].rpartition("/")[0]
        yield Finding(FindingKind.MOVING_STATISTICS, Severity.ERROR, layer, what, effect, remedy)


def _random(evidence: Evidence) -> Iterator[Finding]:
    layer, effect = evidence.behaviour.drawing_layer, evidence.behaviour.repeated
    if effect is not None:
        what = "predict answers the same rows differently the second time"
        remedy = "Find the layer that draws random numbers in inference and give it the training argument of call()."
        if layer is not None:
            remedy = "It draws random numbers in inference: pass it the training argument of call(), or leave it out."
        yield Finding(FindingKind.RANDOM, Severity.ERROR, layer, what, effect, remedy)


def _neighbours(evidence: Evidence) -> Iterator[Finding]:
    layer, effect = evidence.behaviour.mixing_layer, evidence.behaviour.neighbours
    if effect is not None and layer is not None:
        yield neighbours_finding(layer, effect)
    elif effect is not None:
        calls = (node.op.path for node in evidence.graph.batch_norms if node.training is True)
        remedy = f"{REMOVE_PHASE} {EXPORT}"
        yield Finding(FindingKind.NEIGHBOURS, Severity.ERROR, next(calls, None), _NEIGHBOURS, effect, remedy)


def neighbours_finding(layer: str | None, effect: Change) -> Finding:
    """The finding for a layer that mixes rows in inference too: it is at fault itself, and no learning phase is."""
    remedy = "Let it take its statistics over each row alone, or leave it out: foldserve exports no such layer."
    return Finding(FindingKind.NEIGHBOURS, Severity.ERROR, layer, _NEIGHBOURS, effect, remedy)


def _predict_differs(evidence: Evidence) -> Iterator[Finding]:
    effect = evidence.behaviour.predict
    if effect is not None:
        what = "predict differs from the model in inference mode: something in it does not follow the learning phase"
        yield Finding(FindingKind.PREDICT_DIFFERS, Severity.WARNING, None, what, effect, EXPORT)
    for name, deviation in evidence.behaviour.deviations.items():
        what = (
            f"output {name!r}: predict of the model as given is up to {deviation:.3g} away from inference mode:"
            " something in it does not follow the learning phase. The artifacts answer in inference mode"
        )
        yield Finding(FindingKind.PREDICT_DIFFERS, Severity.WARNING, None, what, None, DIAGNOSE)


def _baked_phase(evidence: Evidence) -> Iterator[Finding]:
    baked, effect = evidence.behaviour.baked, evidence.behaviour.without_phase
    if baked:
        what = (
            f"{len(baked)} BatchNormalization called with training=True ({_some(baked)}): predict of this Keras"
            " overrides it, model.export() and later versions of Keras do not"
        )
        if evidence.budget.during_export:
            what += ". The artifacts have no learning phase"
        yield Finding(FindingKind.BAKED_PHASE, Severity.ERROR, baked[0], what, effect, REMOVE_PHASE)


def _live_randomness(evidence: Evidence) -> Iterator[Finding]:
    layers, effect = evidence.behaviour.live_layers, evidence.behaviour.live
    if effect is not None:
        what = (
            f"called without a learning phase, as model.export() does it, the model is random: {len(layers)} layers for"
            f" training alone ({_some(layers)}) are live"
        )
        layer = layers[0] if layers else None
        yield Finding(FindingKind.LIVE_RANDOMNESS, Severity.WARNING, layer, what, effect, EXPORT)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
