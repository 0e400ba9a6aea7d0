"""Predictions of a graph in either learning phase, on a copy of the model."""

import math

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, rebuild
from ..graph.unique_names import op_names
from ..naming import NamedModel
from ..tracing import TracedFunction, traced

_INFERENCE_ROWS = 32
_TRAINING_ROWS = 256


def copied(graph: Graph, *, thaw: bool = False) -> NamedModel:
    """Rebuilds a model from a graph, without dropout.

    A BatchNormalization that is not trainable stays on its moving statistics in training as well, as Keras has it
    since 2.2.0; `thaw` lets it follow the learning phase, as Keras before that did.
    """
    named = NamedModel.of(rebuild(graph), graph)
    names = op_names(graph)
    for node in graph.batch_norms:
        if not thaw and node.op.config.get("trainable") is False:
            named.model.get_layer(names[id(node.op)]).trainable = False
    return named


def predict(named: NamedModel, inputs: Arrays) -> dict[str, Array]:
    """Predicts in inference, a few rows at a time."""
    return _run(named, inputs, _INFERENCE_ROWS, named.run)


def predict_in_training(named: NamedModel, inputs: Arrays) -> dict[str, Array]:
    """Predicts in training, in large batches of nearly equal size, so that no batch statistics come from few rows.

    It runs as a graph function, which frees activations as soon as possible.
    """
    return _run(named, inputs, _TRAINING_ROWS, traced(named, training=True))


def _run(named: NamedModel, inputs: Arrays, most: int, run: TracedFunction) -> dict[str, Array]:
    pieces = math.ceil(rows_of(inputs) / most)
    split = {name: np.array_split(array, pieces) for name, array in inputs.items()}
    parts = [run({name: arrays[piece] for name, arrays in split.items()}) for piece in range(pieces)]
    return {name: np.concatenate([part[name] for part in parts]) for name in named.outputs}


def rows_of(inputs: Arrays) -> int:
    """The number of rows."""
    return len(next(iter(inputs.values())))
