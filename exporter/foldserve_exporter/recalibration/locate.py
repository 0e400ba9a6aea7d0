"""Maps paths in a graph to the layers of the Keras model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array

from ..graph import keras_private as private
from ..graph import trace

_BASE = 128  # exact in every floating dtype


def batch_norms_by_path(model: Any) -> dict[str, Any]:
    """Every BatchNormalization that the model's outputs depend on, by the path that `trace` gives it.

    Names are not enough, as nested models and wrappers repeat them. So a number is written into each layer's
    statistics while the model is traced.
    """
    layers = [
        layer
        for layer in private.sublayers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.moving_mean is not None
    ]
    with lent_values([variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]):
        for number, layer in enumerate(layers):
            layer.moving_mean.assign(np.full(layer.moving_mean.shape, number % _BASE))
            layer.moving_variance.assign(np.full(layer.moving_variance.shape, number // _BASE))
        graph = trace(model)
    by_path = {}
    for node in graph.batch_norms:
        mean, variance = node.op.weight("moving_mean"), node.op.weight("moving_variance")
        assert mean is not None
        assert variance is not None
        by_path[node.op.path] = layers[int(variance.flat[0]) * _BASE + int(mean.flat[0])]
    return by_path


@contextmanager
def lent_values(variables: Sequence[Any]) -> Iterator[None]:
    """Restores the values of variables, bit for bit, at the end of the `with` block."""
    before = [np.array(variable) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def assign_all(values: Mapping[int, tuple[Any, Array]]) -> None:
    """Assigns values to variables, all or none.

    Args:
        values: Variable and value, by the variable's id.
    """
    before = [(variable, np.array(variable)) for variable, _ in values.values()]
    try:
        for variable, value in values.values():
            variable.assign(value)
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise
