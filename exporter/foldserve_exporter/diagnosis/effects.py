"""How the predictions change by one layer's fault alone."""

from collections.abc import Callable
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

_ROWS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A copy of the model on which single weights are exchanged and put back.

    Attributes:
        named: The copy.
        run: How it answers in inference.
        layers: Its layers' names by the id of the graph's op.
        inputs: Some rows.
        answers: What it says to them.
    """

    named: NamedModel
    run: TracedFunction
    layers: dict[int, str]
    inputs: dict[str, Array]
    answers: dict[str, Array]

    @classmethod
    def of(cls, graph: Graph, inputs: Arrays) -> "Bench":
        """A bench for a graph, on rows spread evenly over the samples."""
        named, rows = copied(graph), spread_rows(inputs, _ROWS)
        run = partial(predict, named)
        return cls(named, run, op_names(graph), rows, run(rows))

    def effect(self, op: Op, values: dict[str, Array]) -> Change:
        """How the answers change with other values in some weights of one layer, by the weights' names."""
        layer = self.named.model.get_layer(self.layers[id(op)])
        with lent_values(layer.weights):
            for variable in layer.weights:
                if variable.name in values:
                    variable.assign(values[variable.name])
            changed = changes(self.answers, self.run(self.inputs))
        return max(changed.values(), key=lambda each: (each.size, each.mean))

    def silenced(self, op: Op, channels: Callable[[Op], Array]) -> Change | None:
        """How the answers change when some channels answer β whatever comes in; None for a layer without gain."""
        gamma = op.weight("gamma")
        return None if gamma is None else self.effect(op, {"gamma": np.where(channels(op), 0, gamma)})


def spread_rows(inputs: Arrays, most: int) -> dict[str, Array]:
    """Rows evenly over all of them, which may be sorted by class."""
    rows = rows_of(inputs)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(int))
    return {name: array[chosen] for name, array in inputs.items()}
