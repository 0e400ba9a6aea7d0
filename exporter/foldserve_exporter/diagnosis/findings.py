"""What is found out about a model before it is folded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict_in_training
from .phases import baked_phases, predict_untouched

_PREDICTED = 16  # rows: few show as well as many whether it is far from the reference
_PHASES = 32


@dataclass(frozen=True, slots=True)
class Findings:
    """The model's behaviour in both learning phases.

    Attributes:
        phases: By output, phase 0 (moving statistics) against phase 1 (the batch's), dropout silenced. Layers that are
            not trainable stay on their moving statistics in both, as Keras has it.
        baked: Calls that have a learning phase baked in.
        predict: By output, max|`predict` of the untouched model − reference|.
    """

    phases: Mapping[str, Change]
    baked: tuple[str, ...]
    predict: Mapping[str, float]


def find(
    model: Any | None,
    graph: Graph,
    named: NamedModel,
    inputs: Arrays,
    reference: Arrays,
    phases: Mapping[str, Change] | None = None,
) -> Findings:
    """Looks at the caller's model and at copies of it; the model is as it was afterwards.

    Args:
        model: The caller's model; None where it answers something else than the graph.
        graph: Its graph.
        named: A model rebuilt from the graph, for the names.
        inputs: Rows by input.
        reference: The right answers to them, by output.
        phases: Phase 0 against phase 1, where that is known.
    """
    predicted = {} if model is None else predict_untouched(model, named, _head(inputs, _PREDICTED))
    deviations = {name: _deviation(predicted[name], reference[name][:_PREDICTED]) for name in predicted}
    if phases is None:
        phases = changes(_head(reference, _PHASES), predict_in_training(copied(graph), _head(inputs, _PHASES)))
    return Findings(phases, baked_phases(graph), deviations)


def _head(arrays: Arrays, rows: int) -> dict[str, Array]:
    return {name: array[:rows] for name, array in arrays.items()}


def _deviation(predicted: Any, reference: Any) -> float:
    return tolerance.deviation(predicted, reference) if predicted.shape == reference.shape else float("inf")
