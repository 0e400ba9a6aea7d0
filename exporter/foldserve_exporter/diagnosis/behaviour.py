"""Behaviour of the caller's model, run as it is: repeated, alone, among other rows, and without a learning phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..predictions.change import Change, changes
from ..predictions.running import rows_of
from ..recalibration.locate import lent_values
from ..samples.input_source import sizes_of, source_for
from ..samples.rows import choose_rows
from .batch_dependence import batch_dependent_layer
from .layer_weights import is_frozen
from .untouched_model import call_untouched, drawing_layer, predict_untouched, training_only_layers

_VISIBLE = 1e-2
_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Changes of the predictions that inference must not show; None where there is none that a user would notice.

    Attributes:
        moved: The paths of the variables that `predict` changes.
        moving: The change by that, against inference.
        repeated: The change from one `predict` to the next, on the same rows.
        drawing_layer: The layer that draws random numbers in between; None where it cannot be named.
        neighbours: The change of rows by other rows in the batch.
        mixing_layer: The layer in which rows begin to depend on others; None where it cannot be named.
        predict: The change of `predict` against inference, where none of the above explains it.
        deviations: By output, max|`predict` − inference| where that is beyond the output's limit.
        baked: Layers that are called with training=True, where that is not shown by one of the above.
        without_phase: The change of a call without a learning phase against inference.
        live: The change that layers for training alone make in such a call.
        live_layers: These layers.
    """

    moved: tuple[str, ...] = ()
    moving: Change | None = None
    repeated: Change | None = None
    drawing_layer: str | None = None
    neighbours: Change | None = None
    mixing_layer: str | None = None
    predict: Change | None = None
    deviations: Mapping[str, float] = field(default_factory=dict)
    baked: tuple[str, ...] = ()
    without_phase: Change | None = None
    live: Change | None = None
    live_layers: tuple[str, ...] = ()


def run_untouched(model: Any, graph: Graph, named: NamedModel, inputs: Arrays, outputs: Arrays) -> Behaviour:
    """Runs the caller's model itself, whose variables are put back after every run.

    Args:
        model: The caller's model.
        graph: Its graph.
        named: A model rebuilt from it.
        inputs: Rows by input.
        outputs: The predictions for these rows in inference.
    """
    head, wanted = first_rows(inputs, _ROWS), first_rows(outputs, _ROWS)
    first, again, moved, drew = _twice(model, named, head)
    # a model that changes its own statistics differs the second time without drawing random numbers
    repeated = None if moved else visible(changes(first, again))
    if repeated:
        return Behaviour(repeated=repeated, drawing_layer=drawing_layer(model, drew))
    moving = visible(changes(wanted, first))
    neighbours = _neighbours(model, graph, named, head, first)
    if moved or neighbours:
        layer = batch_dependent_layer(graph, head, _behind_outliers(graph, named, head)) if neighbours else None
        return Behaviour(moved=moved, moving=moving if moved else None, neighbours=neighbours, mixing_layer=layer)
    if moving:
        return Behaviour(predict=moving)
    return _without_phase(model, graph, named, head, wanted)


def baked_layers(graph: Graph) -> tuple[str, ...]:
    """The paths of layers that are called with training=True and follow it, each once."""
    calls = (node.op for node in graph.batch_norms if node.training is True and not is_frozen(node.op))
    return tuple(dict.fromkeys(op.path for op in calls))


def visible(changed: Mapping[str, Change]) -> Change | None:
    """The output that changed most, where a user would see it; NaN is seen."""
    seen = [change for change in changed.values() if not change.largest <= _VISIBLE * max(change.scale, change.spread)]
    return max(seen, key=lambda change: (change.size, change.mean), default=None)


def first_rows(arrays: Arrays, rows: int) -> dict[str, Array]:
    """The first rows of every array."""
    return {name: array[:rows] for name, array in arrays.items()}


def _neighbours(model: Any, graph: Graph, named: NamedModel, inputs: Arrays, together: Arrays) -> Change | None:
    """The change of the same rows alone, or behind rows far from the rest."""
    alone = predict_untouched(model, named, inputs, batch_size=1)
    rows = rows_of(inputs)
    among = predict_untouched(model, named, _behind_outliers(graph, named, inputs), batch_size=2 * rows)
    behind = {name: array[rows:] for name, array in among.items()}
    return visible(changes(together, behind)) or visible(changes(together, alone))


def _behind_outliers(graph: Graph, named: NamedModel, inputs: Arrays) -> dict[str, Array]:
    rows, signature = rows_of(inputs), named.signature()
    source = source_for(graph, named.model, signature, sizes_of(inputs, signature))
    outliers = choose_rows(inputs, rows, seed=0, whole=source.whole).inputs
    return {name: np.concatenate([outliers[name][-rows:], array]) for name, array in inputs.items()}


def _twice(model: Any, named: NamedModel, inputs: Arrays) -> tuple[Arrays, Arrays, tuple[str, ...], set[int]]:
    """The same rows twice in a row, random numbers going on from where they were; and the changes by the first run.

    These are the paths of floating-point variables, and the ids of others, which are states of random numbers.
    """
    with lent_values(model.variables):
        before = [np.array(variable) for variable in model.variables]
        first = predict_untouched(model, named, inputs, put_back=False)
        pairs = zip(model.variables, before, strict=True)
        changed = [variable for variable, old in pairs if np.array(variable).tobytes() != old.tobytes()]
        again = predict_untouched(model, named, inputs)
    floats = tuple(variable.path for variable in changed if "float" in str(variable.dtype))
    return first, again, floats, {id(variable) for variable in changed if "float" not in str(variable.dtype)}


def _without_phase(model: Any, graph: Graph, named: NamedModel, inputs: Arrays, outputs: Arrays) -> Behaviour:
    """A call without a learning phase, which is what Keras' own export records."""
    called = call_untouched(model, named, inputs)
    effect = visible(changes(outputs, called))
    with lent_values(model.variables):
        call_untouched(model, named, inputs, put_back=False)
        random = effect and visible(changes(called, call_untouched(model, named, inputs)))
    baked = baked_layers(graph)
    live = random or (None if baked else effect)
    layers = training_only_layers(model) if live else ()
    return Behaviour(baked=baked, without_phase=effect, live=live, live_layers=layers)
