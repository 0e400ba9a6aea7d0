"""What is found out about a model before it is folded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foldserve_contract import tolerance
from foldserve_contract.signature import Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..predictions.change import Change
from .phases import baked_phases, phase_gaps, predict_untouched


@dataclass(frozen=True, slots=True)
class Findings:
    """The model's behaviour in both learning phases.

    Attributes:
        phases: By output, phase 0 against phase 1.
        baked: Calls that have a learning phase baked in.
        predict: By output, max|`predict` of the untouched model − reference|.
    """

    phases: Mapping[str, Change]
    baked: tuple[str, ...]
    predict: Mapping[str, float]


def find(model: Any | None, graph: Graph, named: NamedModel, inputs: Arrays, reference: Arrays) -> Findings:
    """Looks at the caller's model and at copies of it; the model is as it was afterwards.

    Args:
        model: The caller's model; None where it answers something else than the graph.
        graph: Its graph.
        named: A model rebuilt from the graph.
        inputs: Rows by input.
        reference: The right answers to them, by output.
    """
    predicted = {} if model is None else predict_untouched(model, named, inputs)
    deviations = {name: _deviation(predicted[name], reference[name]) for name in predicted}
    return Findings(phase_gaps(graph, inputs), baked_phases(graph), deviations)


def _deviation(predicted: Any, reference: Any) -> float:
    return tolerance.deviation(predicted, reference) if predicted.shape == reference.shape else float("inf")
