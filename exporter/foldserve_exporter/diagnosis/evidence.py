"""Evidence of a diagnosis: all measurements, before any of them is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from foldserve_contract.signature import Arrays

from ..graph import Graph, Op
from ..predictions.change import Change
from ..predictions.running import rows_of
from ..predictions.scores import Scores
from ..recalibration.statistics import LayerStatistics
from .behaviour import Behaviour
from .budget import Budget
from .drift import LayerDrift, measure_drift
from .layer_weights import is_frozen
from .permutation import Permutation


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of other predictions with those of phase 0.

    Attributes:
        changes: By output, the difference.
        scores: By output that has labels.
    """

    changes: Mapping[str, Change]
    scores: Mapping[str, Scores]

    @property
    def largest(self) -> Change | None:
        """The change of the output that changes most; None for a model without outputs."""
        return max(self.changes.values(), key=lambda change: change.size, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class LayerEvidence:
    """The measurements of one BatchNormalization.

    Attributes:
        op: The layer in the graph.
        statistics: Its moving statistics beside those of the samples.
        drift: The distance between them, with its effect on the predictions where that was measured.
    """

    op: Op
    statistics: LayerStatistics
    drift: LayerDrift


@dataclass(frozen=True, slots=True, eq=False)
class SampleEvidence:
    """Measurements on samples.

    Attributes:
        budget: The extent of the measurements.
        inputs: The samples, by input.
        outputs: The predictions in phase 0, by output.
        scores: Their scores, by output that has labels.
        layers: The layers in the order of the graph. The full estimate has all, the batch-statistics pass those that it
            can measure.
        phase_1: Predictions in training, frozen layers on their moving statistics; None where that was not run.
        thawed: Predictions in training, frozen layers on batch statistics too; None where no layer is frozen.
        recalibrated: Predictions in inference, on the samples' statistics; None where that was not run.
        permutation: An arrangement of the weights that fits the samples far better; None where there is none, or none
            was looked for.
        rearranged: Predictions in inference, with the weights so arranged.
    """

    budget: Budget
    inputs: Arrays
    outputs: Arrays
    scores: Mapping[str, Scores]
    layers: tuple[LayerEvidence, ...]
    phase_1: Comparison | None
    thawed: Comparison | None
    recalibrated: Comparison | None
    permutation: Permutation | None = None
    rearranged: Comparison | None = None

    @property
    def rows(self) -> int:
        """The number of samples."""
        return rows_of(self.inputs)

    @property
    def limit(self) -> float:
        """The drift that chance and a healthy training may leave."""
        return self.budget.limit(self.rows)

    @property
    def drifts(self) -> tuple[LayerDrift, ...]:
        """The drift of every layer."""
        return tuple(layer.drift for layer in self.layers)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All measurements of a model.

    Attributes:
        budget: The extent of the measurements.
        graph: The model.
        rows: The number of samples that were given; 0 for none.
        behaviour: The caller's model, run as it is.
        overflows: True if predictions are not finite.
        sampled: Measurements on the samples; None where there are none.
        unmeasurable: The reason why the samples' statistics are not finite; empty where they are.
        scores: Scores in phase 0, by output that has labels.
        notes: Checks that were not possible, in words.
    """

    budget: Budget
    graph: Graph
    rows: int
    behaviour: Behaviour
    overflows: bool = False
    sampled: SampleEvidence | None = None
    unmeasurable: str = ""
    scores: Mapping[str, Scores] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def layer_evidence(
    layers: Sequence[tuple[Op, LayerStatistics]], budget: Budget, rows: int, effect: Callable[[int], Change]
) -> tuple[LayerEvidence, ...]:
    """The drift of every layer, with the effects of those that drift most, as many as the budget allows.

    Args:
        layers: The layers in the order of the graph.
        budget: The extent of the measurements.
        rows: The number of samples.
        effect: Measures the effect of a layer, by its position.
    """
    measured = [LayerEvidence(op, statistics, measure_drift(statistics, is_frozen(op))) for op, statistics in layers]
    drifting = [index for index, layer in enumerate(measured) if layer.drift.drift > budget.limit(rows)]
    drifting.sort(key=lambda index: -measured[index].drift.drift)
    for index in drifting[: budget.measured_layers]:
        layer = measured[index]
        measured[index] = replace(layer, drift=replace(layer.drift, effect=effect(index)))
    return tuple(measured)
