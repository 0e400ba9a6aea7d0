"""Inputs for the comparison of a converted model with its tf-keras model: samples, and drawn ones like them."""

import math
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Signature, TensorSpec

from ...graph import Graph, TensorInfo, trace
from ...graph.servable_names import servable_input
from ...samples.input_source import source_for
from ..given_samples import GivenSamples, sizes_of

_ROWS = 4
_LARGE = 1 << 18  # values in a row from which on one row has to do: every tensor of both models is kept


def comparison_inputs(old: Any, model: Any, samples: GivenSamples) -> list[Array]:
    """A few rows for every input, in the dtypes of the tf-keras model.

    Args:
        old: The tf-keras model.
        model: The model converted from it.
        samples: The user's; their sizes are those of all rows.

    Raises:
        Refused: The model cannot be read, or nothing that is drawn suits it.
    """
    graph = trace(model)
    signature = _signature(graph)
    given = samples.for_inputs(signature.inputs)
    source = source_for(graph, model, signature, None if given is None else sizes_of(given))
    rows = old.inputs[0].shape[0] or (_ROWS if _largest(source.sizes[0]) < _LARGE else 1)
    drawn = list(source.draw(rows, 0).values())
    if given is not None and not samples.is_raw:
        whole = [source.whole.get(spec.name, np.asarray(spec.dtype[0] != "f")) for spec in signature.inputs]
        drawn = [_like(*arrays) for arrays in zip(drawn, given, whole, strict=True)]
    return [array.astype(tensor.dtype.as_numpy_dtype) for array, tensor in zip(drawn, old.inputs, strict=True)]


def _like(drawn: Array, given: Array, whole: Array) -> Array:
    """The given rows first; behind them drawn ones, whose whole numbers are the given ones."""
    repeated = given[np.arange(len(drawn)) % len(given)]
    first = np.arange(len(drawn)).reshape(-1, *[1] * (drawn.ndim - 1)) < len(given)
    return np.where(first | whole, repeated, drawn)


def _largest(sizes: tuple[tuple[int, ...], ...]) -> int:
    return max(math.prod(shape) for shape in sizes)


def _signature(graph: Graph) -> Signature:
    return Signature(tuple(map(_spec, graph.inputs)), tuple(map(_spec, graph.outputs)))


def _spec(info: TensorInfo) -> TensorSpec:
    row_shape = (-1 if size is None else size for size in info.shape[1:])
    return TensorSpec(servable_input(info.name), info.dtype, (-1, *row_shape))
