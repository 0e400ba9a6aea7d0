"""The full measurements on samples: statistics layer by layer, both phases, labels, and the order of the weights."""

from typing import Any

import numpy as np

from foldserve_contract.signature import Arrays

from ..graph import Graph
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict, predict_in_training, rows_of
from ..predictions.scores import classified, score
from ..recalibration.estimate import estimate
from .budget import FULL
from .evidence import Comparison, LayerEvidence, SampleEvidence, layer_evidence
from .layer_weights import is_frozen, unique_ops
from .permutation import Permutation, find_permutation
from .weight_probe import WeightProbe, spread_rows

_PERMUTATION_ROWS = 256


def full_estimate(model: Any, graph: Graph, inputs: Arrays, labels: Arrays, outputs: Arrays) -> SampleEvidence:
    """Runs copies of the model over the samples.

    Args:
        model: The caller's model; its variables are lent and put back.
        graph: Its graph.
        inputs: Samples by input.
        labels: Labels by output; may be empty.
        outputs: The predictions for the samples in phase 0, by output.

    Raises:
        Refused: A layer's statistics cannot be estimated.
        NotFinite: The input of a layer is not finite.
    """
    scores = score(outputs, labels)
    classes = classified(scores)

    def compared(others: Arrays) -> Comparison:
        return Comparison(changes(outputs, others, classes), score(others, labels))

    estimated = estimate(graph, inputs)
    probe = WeightProbe.of(estimated.graph, inputs, FULL.effect_rows, classes)
    before, after = unique_ops(graph.batch_norms), unique_ops(estimated.graph.batch_norms)

    def effect(index: int) -> Change:
        stored = {w.name: w.value for w in before[index].weights if w.name.startswith("moving_")}
        return probe.effect(after[index], stored)

    layers = layer_evidence(list(zip(before, estimated.layers, strict=True)), FULL, rows_of(inputs), effect)
    permutation = _permutation(model, inputs, layers)
    return SampleEvidence(
        budget=FULL,
        inputs=inputs,
        outputs=outputs,
        scores=scores,
        layers=layers,
        phase_1=compared(predict_in_training(copied(graph), inputs)),
        thawed=compared(predict_in_training(copied(graph, thaw=True), inputs)) if any(map(is_frozen, before)) else None,
        recalibrated=compared(predict(copied(estimated.graph), inputs)),
        permutation=permutation,
        rearranged=None if permutation is None else compared(predict(copied(permutation.graph), inputs)),
    )


def _permutation(model: Any, inputs: Arrays, layers: tuple[LayerEvidence, ...]) -> Permutation | None:
    drift = float(np.mean([layer.drift.drift for layer in layers]))
    if drift <= FULL.limit(rows_of(inputs)):
        return None
    return find_permutation(model, spread_rows(inputs, _PERMUTATION_ROWS), drift)
