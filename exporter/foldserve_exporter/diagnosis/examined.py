"""The first page of an export's report: what `diagnose-model` would find, as far as one more pass can tell.

An export is verified on few rows and must not take long. So the layers' drifts are taken from one pass in which every
BatchNormalization normalises with the batch at hand: what comes before a layer is then right, as it is where
`diagnose-model` puts one layer after another right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, Op
from ..graph.unique_names import op_names
from ..predictions.change import Change, changes
from ..recalibration.statistics import LayerStatistics
from ..verify.evaluation import Unfolded
from .behaviour import worst
from .drift import LayerDrift, measure_drift, threshold
from .effects import Bench
from .evidence import is_frozen
from .finding import DIAGNOSE, RECALIBRATE, REMOVE_PHASE, Finding, Kind, Severity, ranked
from .findings import Findings
from .joint import Joint, join
from .measured import drifts_explain_a_gap, kind_of, phase_gap, severity_of, told
from .phases import call_untouched
from .stored import BY_SAMPLES, stored_faults

_MEASURED = 3  # layers whose effects are measured, on so few rows that together they are one small pass
_FEW_ROWS = 4
_LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class Examination:
    """What an export tells of the model it was given.

    Attributes:
        samples: How many of the user's samples it was examined on; 0 where none were given.
        findings: What is wrong, the gravest first.
        drifts: Every layer's drift, in the order of the graph; empty without samples.
    """

    samples: int
    findings: tuple[Finding, ...]
    drifts: tuple[LayerDrift, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The model and rows that it was asked.

    Attributes:
        graph: The model before the fold.
        given: The caller's own; None where it answers something else.
        rows: Inputs by name.
        right: What the model answers to them in inference.
        samples: Of every row, whether it is one of the user's samples.
        unfolded: A copy of the model, in float32.
    """

    graph: Graph
    given: Any | None
    rows: Arrays
    right: Arrays
    samples: Array
    unfolded: Unfolded


def joined(subject: Subject) -> Joint | None:
    """The pass over the user's samples; None where there are too few, or nothing to look at."""
    if subject.samples.sum() < _LEAST_ROWS or not subject.graph.batch_norms:
        return None
    return join(subject.graph, subject.unfolded.named, _chosen(subject.rows, subject.samples))


def gaps_of(subject: Subject, joint: Joint) -> dict[str, Change]:
    """How the answers to the user's samples differ from what is right, in the pass."""
    return changes(_chosen(subject.right, subject.samples), joint.outputs)


def examine(subject: Subject, findings: Findings, limits: Mapping[str, float], joint: Joint | None) -> Examination:
    """What is wrong with a model that is being exported.

    Args:
        subject: The model and its rows.
        findings: Its behaviour in both learning phases.
        limits: By output, how far `predict` may be from what is right.
        joint: The pass over the user's samples.
    """
    stored = list(stored_faults(subject.graph))
    found = [*_baked(subject), *_not_inference(findings, limits)]
    samples = int(subject.samples.sum())
    if joint is None:
        return Examination(samples, ranked([*stored, *found]), ())
    gaps = gaps_of(subject, joint)
    drifts = _drifts(subject, joint)
    if joint.is_phase_1 and drifts_explain_a_gap([drift for _, drift in drifts], 4 * samples):
        for name, gap in gaps.items():
            found += phase_gap(name, gap, samples)
    drifted = list(_drifted(drifts, gaps, samples))
    weights = [each for each in stored if each.kind not in BY_SAMPLES]
    return Examination(samples, ranked([*found, *weights, *drifted]), tuple(drift for _, drift in drifts))


def limit_of(samples: int) -> float:
    """The drift that chance and a healthy training may leave in a mean over all channels, of so few rows."""
    return threshold(4 * samples)


def _chosen(arrays: Arrays, rows: Array) -> dict[str, Array]:
    return {name: array[rows] for name, array in arrays.items()}


def _baked(subject: Subject) -> Iterator[Finding]:
    """Layers that have phase 1 baked into their calls, and what that does where no phase is given."""
    nodes = [node for node in subject.graph.batch_norms if node.training is True and not is_frozen(node.op)]
    if not nodes:
        return
    effect = None
    if subject.given is not None:
        rows = {name: array[:_FEW_ROWS] for name, array in subject.rows.items()}
        right = {name: array[:_FEW_ROWS] for name, array in subject.right.items()}
        effect = worst(changes(right, call_untouched(subject.given, subject.unfolded.named, rows)))
    paths = list(dict.fromkeys(node.op.path for node in nodes))
    what = (
        f"{len(paths)} BatchNormalization called with training=True ({', '.join(paths[:3])}): predict of this Keras"
        " overrides it, model.export() and later versions of Keras do not. The artifacts have no learning phase"
    )
    yield Finding(Kind.BAKED_PHASE, Severity.ERROR, paths[0], what, effect, REMOVE_PHASE)


def _not_inference(findings: Findings, limits: Mapping[str, float]) -> Iterator[Finding]:
    for name, deviation in findings.predict.items():
        if not deviation <= limits[name]:
            what = (
                f"output {name!r}: predict of the model as given is up to {deviation:.3g} away from inference mode:"
                " something in it does not follow the learning phase. The artifacts answer in inference mode"
            )
            yield Finding(Kind.PREDICT_DIFFERS, Severity.WARNING, None, what, None, DIAGNOSE)


def _drifts(subject: Subject, joint: Joint) -> list[tuple[Op, LayerDrift]]:
    """Every layer's drift, with the effects of those that drifted most."""
    drifts = [(op, measure_drift(layer, is_frozen(op))) for op, layer in joint.layers]
    limit = limit_of(int(subject.samples.sum()))
    far = [index for index, (_, drift) in enumerate(drifts) if drift.drift > limit]
    few = np.flatnonzero(subject.samples)[:_FEW_ROWS]
    rows, right = _chosen(subject.rows, few), _chosen(subject.right, few)
    bench = Bench(subject.unfolded.named, subject.unfolded.run, op_names(subject.graph), rows, right)
    for index in sorted(far, key=lambda index: -drifts[index][1].drift)[:_MEASURED]:
        op, layer = joint.layers[index]
        drifts[index] = (op, replace(drifts[index][1], effect=bench.effect(op, _right(layer))))
    return drifts


def _right(layer: LayerStatistics) -> dict[str, Array]:
    return {"moving_mean": layer.mean, "moving_variance": layer.variance}


def _drifted(drifts: list[tuple[Op, LayerDrift]], gaps: Mapping[str, Change], samples: int) -> Iterator[Finding]:
    """Layers whose statistics are not those of the samples. What a frozen one should have, labels alone can tell."""
    limit = limit_of(samples)
    far = [(op, drift) for op, drift in drifts if drift.drift > limit and np.isfinite(drift.log_ratio)]
    rest = []
    for op, drift in far:
        if drift.frozen:
            continue
        kind, why = kind_of(op, drift, [each for _, each in drifts])
        if drift.effect is None and kind is not Kind.UNTOUCHED:
            rest.append(drift.layer)
        else:
            yield Finding(kind, severity_of(drift.effect), drift.layer, told(drift, why), drift.effect, RECALIBRATE)
    if rest:
        effect = max(gaps.values(), key=lambda each: each.size, default=None)
        what = f"{len(rest)} more layers drift, less than these ({', '.join(rest[:3])}, …); the effect is that of all"
        yield Finding(Kind.STALE, severity_of(effect), None, what, effect, RECALIBRATE)
    frozen = [drift.layer for _, drift in far if drift.frozen]
    if frozen:
        what = (
            f"{len(frozen)} BatchNormalization are frozen on statistics that are not those of the samples: as it should"
            " be where the head was trained on them, a fault where Keras before 2.2 trained it on batch statistics"
        )
        remedy = "diagnose-model with --labels tells the two apart."
        worst_effect = max((d.effect for _, d in far if d.frozen and d.effect), key=lambda c: c.size, default=None)
        yield Finding(Kind.FROZEN_BUT_TRAINED, Severity.NOTE, frozen[0], what, worst_effect, remedy)
