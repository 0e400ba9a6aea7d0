"""What is found out about a model before it is folded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
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


def find(model: Any | None, graph: Graph, inputs: Arrays, reference: Arrays, phase_0: Arrays) -> Findings:
    """Looks at the caller's model and at copies of it; the model is as it was afterwards.

    Args:
        model: The caller's model; None where it answers something else than the graph.
        graph: Its graph.
        inputs: Rows by input.
        reference: The right answers to them, by output.
        phase_0: What a float32 copy of the model answers to them in inference, by output.
    """
    copy = copied(graph)
    predicted = {} if model is None else predict_untouched(model, copy, _head(inputs, _PREDICTED))
    deviations = {name: _deviation(predicted[name], reference[name][:_PREDICTED]) for name in predicted}
    phase_1 = predict_in_training(copy, _head(inputs, _PHASES))
    return Findings(changes(_head(phase_0, _PHASES), phase_1), baked_phases(graph), deviations)


def _head(arrays: Arrays, rows: int) -> dict[str, Array]:
    return {name: array[:rows] for name, array in arrays.items()}


def _deviation(predicted: Any, reference: Any) -> float:
    return tolerance.deviation(predicted, reference) if predicted.shape == reference.shape else float("inf")
