"""How far a model's predictions differ between learning phases, which is the fault foldserve exists for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, rebuild
from ..naming import NamedModel


@dataclass(frozen=True, slots=True)
class PhaseGap:
    """One output in learning phase 0 (moving statistics) against phase 1 (the batch's), dropout silenced.

    Attributes:
        largest: max|phase 0 − phase 1|.
        mean: mean|phase 0 − phase 1|.
        scale: max|phase 0|.
        agreement: Share of the rows with the same top-1 class; None where the output is no vector of scores.
    """

    largest: float
    mean: float
    scale: float
    agreement: float | None


def phase_gaps(graph: Graph, inputs: Arrays) -> dict[str, PhaseGap]:
    """The gap of every output on these rows as one batch, on a copy of the model."""
    model = NamedModel.of(rebuild(graph), graph)
    phase_0 = model.run(inputs, training=False)
    phase_1 = model.run(inputs, training=True)
    return {name: _gap(phase_0[name], phase_1[name]) for name in model.outputs}


def _gap(phase_0: Array, phase_1: Array) -> PhaseGap:
    difference = np.abs(phase_0.astype(np.float64) - phase_1.astype(np.float64))
    agreement = None
    if phase_0.ndim == 2 and phase_0.shape[1] > 1:
        agreement = float(np.mean(phase_0.argmax(axis=1) == phase_1.argmax(axis=1)))
    largest = tolerance.deviation(phase_1, phase_0)
    return PhaseGap(largest, float(np.mean(difference)), tolerance.scale(phase_0), agreement)


def baked_phases(graph: Graph) -> tuple[str, ...]:
    """Calls that have a learning phase baked in, in words: `bn_1 is called with training=True`."""
    return tuple(_baked(graph))


def _baked(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.training is not None:
            yield f"{node.op.path} is called with training={node.training}"


def predict_untouched(model: Any, named: NamedModel, inputs: Arrays) -> Mapping[str, Array]:
    """What `predict` of the model as it was given answers. Every variable is put back, whatever its layers do.

    Args:
        model: The caller's model.
        named: A model rebuilt from it, for the names.
        inputs: Rows by name.
    """
    before = [np.array(variable) for variable in model.variables]
    structured = keras.tree.pack_sequence_as(named.model.input, [inputs[name] for name in named.inputs])
    try:
        outputs = model.predict(structured, batch_size=32, verbose=0)
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
    return dict(zip(named.outputs, keras.tree.flatten(outputs), strict=True))
