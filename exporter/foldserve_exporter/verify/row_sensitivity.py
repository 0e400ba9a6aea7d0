"""Sensitivity of rows: how far their answers move when all weights do."""

from collections.abc import Iterator

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..tracing import TracedFunction, traced
from .perturbation import Perturbation

_CHUNK = 16
_ELEMENTS = 2e9  # of all layers' results for all rows: ten to twenty seconds on two cores, whatever the model
_STEPS = 50  # by which a factor e is divided, so that rows rank alike on machines that round otherwise


def affordable_rows(graph: Graph, rows: Arrays) -> int:
    """The number of rows whose sensitivity takes seconds."""
    return int(_ELEMENTS / row_elements(graph, rows))


def row_elements(graph: Graph, rows: Arrays) -> float:
    """The size of all layers' results for one row; a size that the graph leaves open counts as the rows' largest."""
    free = max(size for array in rows.values() for size in (1, *array.shape[1:]))
    sizes = (np.prod([size or free for size in tensor.shape[1:]]) for node in graph.nodes for tensor in node.outputs)
    return max(1.0, float(sum(sizes)))


def row_sensitivity(model: NamedModel, rows: Arrays, seed: int) -> Array:
    """How far each row's answers move with all weights: log(max|change| / scale of the output), the largest output's.

    −∞ where nothing moves, or what moves is not finite.

    Args:
        model: The model; its weights are moved and put back.
        rows: The rows, by input.
        seed: Seed of the change.
    """
    run, perturbation = traced(model, training=False), Perturbation(model.model.trainable_variables, seed)
    count = len(next(iter(rows.values())))
    moved, scale = np.zeros((len(model.outputs), count)), np.zeros(len(model.outputs))
    for start in range(0, count, _CHUNK):
        chunk = {name: array[start : start + _CHUNK] for name, array in rows.items()}
        for index, (before, after) in enumerate(_answers(run, perturbation, chunk)):
            scale[index] = max(scale[index], np.abs(before).max(initial=0))
            moved[index, start : start + _CHUNK] = np.abs(after - before).max(axis=1, initial=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log((moved / scale[:, None]).max(axis=0, initial=0))
    ranked: Array = np.where(np.isfinite(share), np.round(_STEPS * share) / _STEPS, -np.inf)
    return ranked


def _answers(run: TracedFunction, perturbation: Perturbation, chunk: Arrays) -> Iterator[tuple[Array, Array]]:
    """Every output of floats before and after the change, in float64 as one vector a row; others without elements."""
    before = run(chunk)
    with perturbation.applied():
        after = run(chunk)
    for name, array in before.items():
        yield _wide(array), _wide(after[name])


def _wide(array: Array) -> Array:
    columns = array.reshape(len(array), -1)[:, : None if array.dtype.kind == "f" else 0]
    wide: Array = columns.astype(np.float64)
    return wide
