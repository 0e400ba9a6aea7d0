"""Runs of the caller's model as it was given, and its layers by path."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..error_text import error_text
from ..errors import Refused
from ..graph import keras_private as private
from ..graph.inference_mode import is_training_only
from ..naming import NamedModel
from ..recalibration.locate import lent_values


def predict_untouched(
    model: Any, named: NamedModel, inputs: Arrays, batch_size: int = 32, *, put_back: bool = True
) -> dict[str, Array]:
    """The predictions of the model as it was given, by output.

    Args:
        model: The caller's model.
        named: A model rebuilt from it, for the names.
        inputs: Rows by name.
        batch_size: Rows at a time.
        put_back: True to put back every variable afterwards, whatever the model's layers change.

    Raises:
        Refused: The model fails.
    """
    with lent_values(model.variables if put_back else ()), _refusing_failures("predict"):
        outputs = model.predict(structured(named, inputs), batch_size=batch_size, verbose=0)
    return dict(zip(named.outputs, keras.tree.flatten(outputs), strict=True))


def call_untouched(model: Any, named: NamedModel, inputs: Arrays, *, put_back: bool = True) -> dict[str, Array]:
    """The outputs of the model called without a learning phase, as `model.export()` calls it.

    Raises:
        Refused: The model fails.
    """
    with lent_values(model.variables if put_back else ()), _refusing_failures("a call"):
        outputs = model(keras.tree.map_structure(keras.ops.convert_to_tensor, structured(named, inputs)))
    flat = [np.asarray(output) for output in keras.tree.flatten(outputs)]
    return dict(zip(named.outputs, flat, strict=True))


@contextmanager
def _refusing_failures(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Refused(
            f"{what} of the model as it was given fails: {error_text(error)} Where it works on real inputs,"
            " give them with --samples"
        ) from error


def structured(named: NamedModel, inputs: Arrays) -> Any:
    """Arrays in the structure of the model's input."""
    return keras.tree.pack_sequence_as(named.model.input, [inputs[name] for name in named.inputs])


def training_only_layers(model: Any) -> tuple[str, ...]:
    """The paths of the layers that are random in training: dropout, noise, augmentation."""
    return tuple(dict.fromkeys(path for path, layer in _paths(model) if is_training_only(layer)))


def drawing_layer(model: Any, moved: Collection[int]) -> str | None:
    """The path of the innermost layer that holds some of the variables; None where there is none.

    Args:
        model: The caller's model.
        moved: The ids of the variables.
    """
    holders = [path for path, layer in _paths(model) if any(id(variable) in moved for variable in layer.variables)]
    first = holders[0] if holders else None
    return next((path for path in reversed(holders) if path.startswith(f"{first}/")), first)


def _paths(layer: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """All layers below a layer with their paths, each before those in it."""
    for child in private.children(layer):
        yield above + child.name, child
        yield from _paths(child, f"{above}{child.name}/")
