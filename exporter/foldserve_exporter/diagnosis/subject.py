"""The diagnosis of a model that is being exported, on the rows that the export is verified with."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..graph.unique_names import op_names
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict_in_training
from ..verify.evaluation import Unfolded
from .batch_statistics_pass import batch_statistics_pass
from .behaviour import Behaviour, baked_layers, first_rows, visible
from .budget import ONE_PASS
from .evidence import Comparison, Evidence, SampleEvidence, layer_evidence
from .layer_weights import is_frozen
from .result import Diagnosis, diagnosis_of
from .untouched_model import call_untouched, predict_untouched
from .weight_probe import WeightProbe

_PHASE_ROWS = 32
_PREDICTED_ROWS = 16  # few show as well as many whether `predict` is far from the reference
_CALLED_ROWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The model, and rows with their predictions.

    Attributes:
        graph: The model before the fold.
        given: The caller's model; None where its predictions are not the graph's.
        inputs: Rows by input.
        outputs: The right predictions for them in inference, by output.
        limits: By output, the largest deviation that `predict` may have.
        samples: True for every row that is one of the user's samples.
        unfolded: A copy of the model, in float32.
        classes: The outputs that are of class scores, where names of the classes were given.
    """

    graph: Graph
    given: Any | None
    inputs: Arrays
    outputs: Arrays
    limits: Mapping[str, float]
    samples: Array
    unfolded: Unfolded
    classes: Collection[str] = ()

    @property
    def sample_count(self) -> int:
        """The number of rows that are the user's samples."""
        return int(self.samples.sum())


@dataclass(frozen=True, slots=True)
class PhaseBehaviour:
    """The model's predictions in both learning phases.

    Attributes:
        phases: By output, phase 0 (moving statistics) against phase 1 (the batch's), without dropout. Layers that are
            not trainable stay on their moving statistics in both, as Keras has it.
        baked: Calls that have a learning phase baked in, in words.
        predict: By output, max|`predict` of the untouched model − reference|; empty where it was not run.
    """

    phases: Mapping[str, Change]
    baked: tuple[str, ...]
    predict: Mapping[str, float]


def diagnose_subject(subject: Subject) -> tuple[Diagnosis, PhaseBehaviour]:
    """Diagnoses the model on one pass over the user's samples, where there are enough."""
    sampled = _sampled(subject) if subject.graph.batch_norms else None
    phases = PhaseBehaviour(_phases(subject, sampled), baked_phases(subject.graph), _deviations(subject))
    behaviour = _behaviour(subject, phases)
    evidence = Evidence(ONE_PASS, subject.graph, subject.sample_count, behaviour, sampled=sampled)
    return diagnosis_of(evidence), phases


def baked_phases(graph: Graph) -> tuple[str, ...]:
    """Calls that have a learning phase baked in, in words: `bn_1 is called with training=True`."""
    return tuple(_baked(graph))


def _sampled(subject: Subject) -> SampleEvidence | None:
    """The pass over the user's samples; None where there are too few."""
    if subject.sample_count < ONE_PASS.least_rows:
        return None
    inputs, outputs = _chosen(subject.inputs, subject.samples), _chosen(subject.outputs, subject.samples)
    batch = batch_statistics_pass(subject.graph, subject.unfolded.named, inputs)
    comparison = Comparison(changes(outputs, batch.outputs, subject.classes), {})
    probe = _probe(subject)

    def effect(index: int) -> Change:
        op, statistics = batch.layers[index]
        return probe.effect(op, {"moving_mean": statistics.mean, "moving_variance": statistics.variance})

    layers = layer_evidence(batch.layers, ONE_PASS, subject.sample_count, effect)
    any_frozen = any(is_frozen(layer.op) for layer in layers)
    phase_1, thawed = (None, comparison) if any_frozen else (comparison, None)
    return SampleEvidence(ONE_PASS, inputs, outputs, {}, layers, phase_1, thawed, recalibrated=None)


def _probe(subject: Subject) -> WeightProbe:
    few = np.flatnonzero(subject.samples)[: ONE_PASS.effect_rows]
    inputs, outputs = _chosen(subject.inputs, few), _chosen(subject.outputs, few)
    named, run = subject.unfolded.named, subject.unfolded.run
    return WeightProbe(named, run, op_names(subject.graph), inputs, outputs, subject.classes)


def _phases(subject: Subject, sampled: SampleEvidence | None) -> Mapping[str, Change]:
    """By output, phase 0 against phase 1: of the pass, or of the first rows where it was not in phase 1."""
    if sampled is not None and sampled.phase_1 is not None:
        return sampled.phase_1.changes
    inputs, outputs = first_rows(subject.inputs, _PHASE_ROWS), first_rows(subject.outputs, _PHASE_ROWS)
    return changes(outputs, predict_in_training(copied(subject.graph), inputs), subject.classes)


def _deviations(subject: Subject) -> dict[str, float]:
    """By output, max|`predict` − reference| on the first rows; infinity for another shape."""
    if subject.given is None:
        return {}
    inputs = first_rows(subject.inputs, _PREDICTED_ROWS)
    predicted = predict_untouched(subject.given, subject.unfolded.named, inputs)
    return {name: _deviation(array, subject.outputs[name][:_PREDICTED_ROWS]) for name, array in predicted.items()}


def _behaviour(subject: Subject, phases: PhaseBehaviour) -> Behaviour:
    """The deviations of `predict`, and of a call without a learning phase where one is baked in."""
    beyond = {name: apart for name, apart in phases.predict.items() if not apart <= subject.limits[name]}
    baked, effect = baked_layers(subject.graph), None
    if baked and subject.given is not None:
        inputs, outputs = first_rows(subject.inputs, _CALLED_ROWS), first_rows(subject.outputs, _CALLED_ROWS)
        effect = visible(changes(outputs, call_untouched(subject.given, subject.unfolded.named, inputs)))
    return Behaviour(deviations=beyond, baked=baked, without_phase=effect)


def _baked(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.training is not None:
            yield f"{node.op.path} is called with training={node.training}"


def _deviation(predicted: Array, reference: Array) -> float:
    return tolerance.deviation(predicted, reference) if predicted.shape == reference.shape else float("inf")


def _chosen(arrays: Arrays, rows: Array) -> dict[str, Array]:
    return {name: array[rows] for name, array in arrays.items()}
