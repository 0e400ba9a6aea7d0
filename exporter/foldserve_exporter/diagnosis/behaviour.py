"""What the untouched model does: whether it is the same twice, alone, among others, and without a learning phase."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..naming import NamedModel
from ..predictions.change import Change, changes
from ..recalibration.locate import lent_values
from ..samples.rows import choose_rows
from .finding import EXPORT, REMOVE_PHASE, Finding, Kind, Severity
from .leaking import leaking_layer
from .phases import call_untouched, drawing_layer, predict_untouched, silent_layers

_VISIBLE = 1e-2
_ROWS = 16
_NAMED = 3


def behaviour_faults(model: Any, graph: Graph, named: NamedModel, inputs: Arrays, right: Arrays) -> Iterator[Finding]:
    """Runs the caller's model itself, whose variables are put back after every run.

    Args:
        model: The caller's model.
        graph: Its graph.
        named: A model rebuilt from it.
        inputs: Some rows.
        right: What it answers to them in inference.
    """
    head, wanted = _head(inputs), _head(right)
    first, again, moved, drew = _twice(model, named, head)
    found = []
    if moved:
        found.append(_moving(moved, worst(changes(wanted, first))))
    random = None if moved else worst(changes(first, again))
    if random:
        found.append(_random(random, drawing_layer(model, drew)))
    elif leak := _leak(model, named, head, first):
        found.append(_neighbours(leak, graph, head))
    if not found and (differs := worst(changes(wanted, first))):
        found.append(_differs(differs))
    yield from found
    if not found:
        yield from _without_phase(model, graph, named, head, wanted)


def worst(changed: Mapping[str, Change]) -> Change | None:
    """The output that changed most, where a user would see it; NaN is seen."""
    seen = [each for each in changed.values() if not each.largest <= _VISIBLE * max(each.scale, each.spread)]
    return max(seen, key=lambda each: (each.size, each.mean), default=None)


def _head(arrays: Arrays) -> dict[str, Array]:
    return {name: array[:_ROWS] for name, array in arrays.items()}


def _leak(model: Any, named: NamedModel, inputs: Arrays, together: Arrays) -> Change | None:
    """The same rows alone, and behind rows far from the rest."""
    alone = predict_untouched(model, named, inputs, batch_size=1)
    rows = len(next(iter(inputs.values())))
    among = predict_untouched(model, named, _behind_strangers(inputs), batch_size=2 * rows)
    behind = {name: array[rows:] for name, array in among.items()}
    return worst(changes(together, behind)) or worst(changes(together, alone))


def _behind_strangers(inputs: Arrays) -> dict[str, Array]:
    rows = len(next(iter(inputs.values())))
    strangers = choose_rows(inputs, rows, seed=0).inputs
    return {name: np.concatenate([strangers[name][-rows:], array]) for name, array in inputs.items()}


def _twice(model: Any, named: NamedModel, inputs: Arrays) -> tuple[Arrays, Arrays, list[str], set[int]]:
    """The same rows twice in a row, random numbers going on from where they were; and what the first run changed.

    That is the paths of floats, and the ids of others, which are states of random numbers.
    """
    with lent_values(model.variables):
        before = [np.array(variable) for variable in model.variables]
        first = predict_untouched(model, named, inputs, put_back=False)
        pairs = zip(model.variables, before, strict=True)
        changed = [variable for variable, old in pairs if np.array(variable).tobytes() != old.tobytes()]
        again = predict_untouched(model, named, inputs)
    floats = [variable.path for variable in changed if "float" in str(variable.dtype)]
    return first, again, floats, {id(variable) for variable in changed if "float" not in str(variable.dtype)}


def _moving(moved: list[str], effect: Change | None) -> Finding:
    what = (
        f"predict changes {len(moved)} variables ({_some(moved)}): a layer calls its BatchNormalization with"
        " training=True, so that every request changes the answers to the next"
    )
    remedy = f"Pass the training argument of call() on to the layers inside. {EXPORT}"
    return Finding(Kind.MOVING_STATISTICS, Severity.ERROR, moved[0].rpartition("/")[0], what, effect, remedy)


def _without_phase(model: Any, graph: Graph, named: NamedModel, inputs: Arrays, right: Arrays) -> Iterator[Finding]:
    """A call without a learning phase, which is what Keras' own export records."""
    called = call_untouched(model, named, inputs)
    effect = worst(changes(right, called))
    baked = [n.op.path for n in graph.batch_norms if n.training is True and n.op.config.get("trainable") is not False]
    with lent_values(model.variables):
        call_untouched(model, named, inputs, put_back=False)
        random = effect and worst(changes(called, call_untouched(model, named, inputs)))
    if baked:
        what = f"{len(baked)} BatchNormalization called with training=True ({_some(baked)})"
        hidden = "predict of this Keras overrides it, model.export() and later versions of Keras do not"
        yield Finding(Kind.BAKED_PHASE, Severity.ERROR, baked[0], f"{what}: {hidden}", effect, REMOVE_PHASE)
    if random or (effect and not baked):
        silent = silent_layers(model)
        what = (
            f"called without a learning phase, as model.export() does it, the model is random: {len(silent)} layers for"
            f" training alone ({_some(silent)}) are live"
        )
        yield Finding(
            Kind.LIVE_RANDOMNESS, Severity.WARNING, silent[0] if silent else None, what, random or effect, EXPORT
        )


def _random(effect: Change, layer: str | None) -> Finding:
    what = "predict answers the same rows differently the second time"
    remedy = "Find the layer that draws random numbers in inference and give it the training argument of call()."
    if layer is not None:
        remedy = "It draws random numbers in inference: pass it the training argument of call(), or leave it out."
    return Finding(Kind.RANDOM, Severity.ERROR, layer, what, effect, remedy)


def _neighbours(effect: Change, graph: Graph, rows: Arrays) -> Finding:
    what = "predict answers a row differently among other rows: a statistic is taken over the batch"
    layer = leaking_layer(graph, rows, _behind_strangers(rows))
    if layer is not None:  # in inference too: no phase is to blame
        remedy = "Let it take its statistics over each row alone, or leave it out: foldserve exports no such layer."
        return Finding(Kind.NEIGHBOURS, Severity.ERROR, layer, what, effect, remedy)
    suspects = [node.op.path for node in graph.batch_norms if node.training is True]
    return Finding(
        Kind.NEIGHBOURS, Severity.ERROR, suspects[0] if suspects else None, what, effect, f"{REMOVE_PHASE} {EXPORT}"
    )


def _differs(effect: Change) -> Finding:
    what = "predict differs from the model in inference mode: something in it does not follow the learning phase"
    return Finding(Kind.PREDICT_DIFFERS, Severity.WARNING, None, what, effect, EXPORT)


def _some(names: Any) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
