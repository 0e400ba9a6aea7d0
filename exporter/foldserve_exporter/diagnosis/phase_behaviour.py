"""Predictions in both learning phases, for the report of an export."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..predictions.change import Change
from .behaviour import first_rows
from .untouched_model import predict_untouched

_ROWS = 16  # few show as well as many whether `predict` is far from the reference


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


def baked_phases(graph: Graph) -> tuple[str, ...]:
    """Calls that have a learning phase baked in, in words: `bn_1 is called with training=True`."""
    return tuple(_baked(graph))


def predict_deviations(model: Any, named: NamedModel, inputs: Arrays, reference: Arrays) -> dict[str, float]:
    """By output, max|`predict` − reference| on the first rows; infinity for another shape.

    Args:
        model: The caller's model, which is as it was afterwards.
        named: A model rebuilt from its graph, for the names.
        inputs: Rows by input.
        reference: The right predictions for these rows, by output.
    """
    predicted = predict_untouched(model, named, first_rows(inputs, _ROWS))
    return {name: _deviation(array, reference[name][:_ROWS]) for name, array in predicted.items()}


def _baked(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.training is not None:
            yield f"{node.op.path} is called with training={node.training}"


def _deviation(predicted: Array, reference: Array) -> float:
    return tolerance.deviation(predicted, reference) if predicted.shape == reference.shape else float("inf")
