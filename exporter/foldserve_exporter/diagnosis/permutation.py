"""Weights that were loaded in another order than they were saved in.

A legacy `.h5` stores the weights of a nested model as one list: trainable ones first, then the others. Loaded into a
model whose `trainable` flags differ, shapes that agree go to wrong places without an error: γ becomes μ, β becomes σ².
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..errors import Refused
from ..graph import Graph, trace
from ..graph import keras_private as private
from ..recalibration.estimate import estimate
from ..recalibration.locate import lent_values
from .drift import off_by

_BETTER = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Permutation:
    """An arrangement of the weights of a nested model in which they seem to be where they belong.

    Attributes:
        scope: The nested model's name.
        moved: The number of weights that change places.
        graph: The graph of the model so arranged.
        drift: The mean drift of its layers.
    """

    scope: str
    moved: int
    graph: Graph
    drift: float


def find_permutation(model: Any, inputs: Arrays, drift: float) -> Permutation | None:
    """The arrangement that fits the samples far better than the present one; None where there is none.

    Args:
        model: The caller's model; its variables are lent and put back.
        inputs: Samples.
        drift: The mean drift of its layers as they are.
    """
    best: Permutation | None = None
    for scope, variables, values in _arrangements(model):
        moved = sum(1 for variable, value in zip(variables, values, strict=True) if _differs(variable, value))
        if not moved:
            continue
        with lent_values(variables):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            graph = trace(model)
        with suppress(Refused):
            candidate = Permutation(scope, moved, graph, mean_drift(graph, inputs))
            if candidate.drift < _BETTER * (best.drift if best else drift):
                best = candidate
    return best


def mean_drift(graph: Graph, inputs: Arrays) -> float:
    """The mean drift over all layers."""
    return float(np.mean([off_by(layer).mean() for layer in estimate(graph, inputs).layers]))


def _arrangements(model: Any) -> Iterator[tuple[str, Sequence[Any], Sequence[Array]]]:
    """Every nested model with every pair of orders: its weights, and the values that would undo the exchange."""
    for nested in private.sublayers(model):
        if not isinstance(nested, keras.Model) or len(nested.weights) < 2:
            continue
        for saved, loaded in permutations(_ORDERS, 2):
            source, target = loaded(nested), saved(nested)
            if [tuple(v.shape) for v in source] == [tuple(v.shape) for v in target]:
                yield nested.name, target, [np.array(variable) for variable in source]


def _differs(variable: Any, value: Array) -> bool:
    return bool(np.array(variable).tobytes() != value.tobytes())


def _by_layer(model: Any) -> list[Any]:
    """The order of a model without trainable layers."""
    return [variable for layer in _leaves(model) for variable in layer.weights]


def _by_trainability(model: Any) -> list[Any]:
    """The order of a model of which all layers are trainable."""
    everything = _by_layer(model)
    return sorted(everything, key=lambda variable: variable.name.startswith(("moving_", "renorm_")))


def _by_flags(model: Any) -> list[Any]:
    """The order of a model with its flags as they are."""
    everything = _by_layer(model)
    trained = {id(variable) for variable in model.trainable_weights}
    return sorted(everything, key=lambda variable: id(variable) not in trained)


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


_ORDERS: tuple[Callable[[Any], list[Any]], ...] = (_by_layer, _by_trainability, _by_flags)
