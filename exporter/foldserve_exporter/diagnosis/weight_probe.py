"""A probe of single weights: their effect on the predictions."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, Op
from ..graph.unique_names import op_names
from ..naming import NamedModel
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict, rows_of
from ..recalibration.locate import lent_values
from ..tracing import TracedFunction


@dataclass(frozen=True, slots=True, eq=False)
class WeightProbe:
    """A copy of the model on which single weights are exchanged and put back.

    Attributes:
        named: The copy.
        run: Its inference.
        layers: The names of its layers, by the id of the graph's op.
        inputs: Rows by input.
        outputs: The predictions for these rows, by output.
        classes: The outputs that are of class scores, where labels show it.
    """

    named: NamedModel
    run: TracedFunction
    layers: dict[int, str]
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    classes: Collection[str] = ()

    @classmethod
    def of(cls, graph: Graph, inputs: Arrays, most: int, classes: Collection[str] = ()) -> "WeightProbe":
        """A probe for a graph, on at most `most` rows spread evenly over the samples."""
        named, rows = copied(graph), spread_rows(inputs, most)
        run = partial(predict, named)
        return cls(named, run, op_names(graph), rows, run(rows), classes)

    def effect(self, op: Op, values: Mapping[str, Array]) -> Change:
        """The change of the predictions by other values in some weights of one layer, by the weights' names."""
        layer = self.named.model.get_layer(self.layers[id(op)])
        with lent_values(layer.weights):
            for variable in layer.weights:
                if variable.name in values:
                    variable.assign(values[variable.name])
            changed = changes(self.outputs, self.run(self.inputs), self.classes)
        return max(changed.values(), key=lambda change: (change.size, change.mean))

    def silenced(self, op: Op, channels: Callable[[Op], Array]) -> Change | None:
        """The change when some channels are β whatever their input; None for a layer without gain."""
        gamma = op.weight("gamma")
        return None if gamma is None else self.effect(op, {"gamma": np.where(channels(op), 0, gamma)})


def spread_rows(inputs: Arrays, most: int) -> dict[str, Array]:
    """At most `most` rows, spread evenly over all of them, which may be sorted by class."""
    rows = rows_of(inputs)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(int))
    return {name: array[chosen] for name, array in inputs.items()}
