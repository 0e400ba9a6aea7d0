"""What samples tell about a model: its predictions as they are, in training, and on statistics of the samples."""

from collections.abc import Mapping
from dataclasses import dataclass

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, Op
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict, predict_in_training
from ..predictions.scores import Scores, score
from ..recalibration.estimate import EstimatedGraph, estimate
from .drift import LayerDrift, measure_drift, threshold
from .effects import Bench
from .stored import unique_ops


@dataclass(frozen=True, slots=True)
class Compared:
    """Other predictions against those of phase 0.

    Attributes:
        changes: By output, how far they are apart.
        scores: By output that has labels.
    """

    changes: Mapping[str, Change]
    scores: Mapping[str, Scores]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that was measured on samples.

    Attributes:
        inputs: The samples.
        scores: Of phase 0, by output that has labels.
        phase_1: In training, frozen layers on their moving statistics.
        thawed: In training, frozen layers on batch statistics too; None where no layer is frozen.
        recalibrated: In inference, on the samples' statistics.
        estimated: These statistics.
        drifts: By the layer's op, in the order of the graph.
    """

    inputs: Mapping[str, Array]
    scores: Mapping[str, Scores]
    phase_1: Compared
    thawed: Compared | None
    recalibrated: Compared
    estimated: EstimatedGraph
    drifts: tuple[tuple[Op, LayerDrift], ...]


def gather(graph: Graph, inputs: Arrays, labels: Arrays, right: Arrays) -> Evidence:
    """Runs copies of the model over the samples.

    Args:
        graph: The model.
        inputs: Samples by input.
        labels: Labels by output; may be empty.
        right: Its answers in phase 0.

    Raises:
        Refused: A layer's statistics cannot be estimated.
    """

    def compared(outputs: Arrays) -> Compared:
        return Compared(changes(right, outputs), score(outputs, labels))

    estimated = estimate(graph, inputs)
    any_frozen = any(is_frozen(node.op) for node in graph.batch_norms)
    return Evidence(
        inputs,
        score(right, labels),
        compared(predict_in_training(copied(graph), inputs)),
        compared(predict_in_training(copied(graph, thaw=True), inputs)) if any_frozen else None,
        compared(predict(copied(estimated.graph), inputs)),
        estimated,
        tuple(_drifts(graph, estimated, inputs)),
    )


def is_frozen(op: Op) -> bool:
    """Whether a layer is not trainable, and so keeps its moving statistics in training."""
    return op.config.get("trainable") is False


def _drifts(graph: Graph, estimated: EstimatedGraph, inputs: Arrays) -> list[tuple[Op, LayerDrift]]:
    """Every layer's drift; the effect of those that drifted more than chance lets them."""
    rows = len(next(iter(inputs.values())))
    bench = Bench.of(estimated.graph, inputs)
    found = []
    before, after = unique_ops(graph.batch_norms), unique_ops(estimated.graph.batch_norms)
    for op, right, layer in zip(before, after, estimated.layers, strict=True):
        drift = measure_drift(layer, is_frozen(op))
        if drift.drift > threshold(rows):
            statistics = {weight.name: weight.value for weight in op.weights if weight.name.startswith("moving_")}
            drift = measure_drift(layer, is_frozen(op), bench.effect(right, statistics))
        found.append((op, drift))
    return found
