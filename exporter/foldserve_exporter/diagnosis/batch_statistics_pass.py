"""The statistics that every BatchNormalization sees of some rows, and the predictions with them, in one pass.

Every layer normalises with the batch at hand: the layers before it are then right, as they are where the full estimate
puts one layer after another right.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Arrays

from ..graph import Graph, Op
from ..graph.unique_names import op_names
from ..naming import NamedModel
from ..predictions.running import rows_of
from ..recalibration.locate import lent_values
from ..recalibration.moments import Moments
from ..recalibration.statistics import LayerStatistics, compared
from ..tracing import traced
from .layer_weights import unique_ops


@dataclass(frozen=True, slots=True, eq=False)
class BatchStatistics:
    """Pass in which every layer follows the batch, frozen ones too.

    Attributes:
        layers: Every layer beside the statistics of the rows, in the order of the graph, but those that are called
            more than once, that renormalise, or whose input is not finite.
        outputs: The predictions, by output.
    """

    layers: list[tuple[Op, LayerStatistics]]
    outputs: Arrays


def batch_statistics_pass(graph: Graph, named: NamedModel, rows: Arrays) -> BatchStatistics:
    """Runs the rows as one batch through a copy of the model, whose variables are put back.

    With momentum 0 a layer keeps the mean and variance of the batch that it normalises: no pass of their own is needed.
    """
    names = op_names(graph)
    calls = Counter(id(node.op) for node in graph.batch_norms)
    ops = [op for op in unique_ops(graph.batch_norms) if calls[id(op)] == 1 and not op.config.get("renorm")]
    layers = [named.model.get_layer(names[id(op)]) for op in ops]
    with lent_values(named.model.variables):
        for layer in layers:
            layer.trainable = True
            layer.momentum = 0.0
        outputs = traced(named, training=True)(rows)
        batch = [(np.array(layer.moving_mean), np.array(layer.moving_variance)) for layer in layers]
    count = rows_of(rows)
    measured = [
        (op, compared(op, Moments(count, mean.astype(np.float64), count * variance.astype(np.float64))))
        for op, (mean, variance) in zip(ops, batch, strict=True)
        if np.isfinite(mean).all() and np.isfinite(variance).all()
    ]
    return BatchStatistics(measured, outputs)
