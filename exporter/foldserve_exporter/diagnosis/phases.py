"""How far a model's predictions differ between learning phases, which is the fault foldserve exists for."""

from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..graph import keras_private as private
from ..graph.inference_mode import is_training_only
from ..naming import NamedModel
from ..recalibration.locate import lent_values


def baked_phases(graph: Graph) -> tuple[str, ...]:
    """Calls that have a learning phase baked in, in words: `bn_1 is called with training=True`."""
    return tuple(_baked(graph))


def _baked(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.training is not None:
            yield f"{node.op.path} is called with training={node.training}"


def predict_untouched(
    model: Any, named: NamedModel, inputs: Arrays, batch_size: int = 32, *, put_back: bool = True
) -> dict[str, Array]:
    """What `predict` of the model as it was given answers.

    Args:
        model: The caller's model.
        named: A model rebuilt from it, for the names.
        inputs: Rows by name.
        batch_size: Rows at a time.
        put_back: Whether every variable is put back afterwards, whatever the model's layers do.
    """
    with lent_values(model.variables if put_back else ()):
        outputs = model.predict(structured(named, inputs), batch_size=batch_size, verbose=0)
    return dict(zip(named.outputs, keras.tree.flatten(outputs), strict=True))


def call_untouched(model: Any, named: NamedModel, inputs: Arrays, *, put_back: bool = True) -> dict[str, Array]:
    """What the model answers when it is called without a learning phase, as `model.export()` does it."""
    with lent_values(model.variables if put_back else ()):
        outputs = model(keras.tree.map_structure(keras.ops.convert_to_tensor, structured(named, inputs)))
    flat = [np.asarray(output) for output in keras.tree.flatten(outputs)]
    return dict(zip(named.outputs, flat, strict=True))


def structured(named: NamedModel, inputs: Arrays) -> Any:
    """Arrays in the structure that the model takes."""
    return keras.tree.pack_sequence_as(named.model.input, [inputs[name] for name in named.inputs])


def silent_layers(model: Any) -> tuple[str, ...]:
    """Paths of the layers that are random in training: dropout, noise, augmentation."""
    return tuple(dict.fromkeys(path for path, layer in _paths(model) if is_training_only(layer)))


def drawing_layer(model: Any, moved: Collection[int]) -> str | None:
    """The path of the innermost layer that holds one of some variables; None where none does.

    Args:
        model: The caller's.
        moved: Their ids.
    """
    holders = [path for path, layer in _paths(model) if any(id(variable) in moved for variable in layer.variables)]
    first = holders[0] if holders else None
    return next((path for path in reversed(holders) if path.startswith(f"{first}/")), first)


def _paths(layer: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer below a layer, each before those in it, by path."""
    for each in private.children(layer):
        yield above + each.name, each
        yield from _paths(each, f"{above}{each.name}/")
