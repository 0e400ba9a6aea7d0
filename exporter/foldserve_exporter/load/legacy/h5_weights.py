"""Assignment of a model's weights from an HDF5 file, by name.

The file lists a nested model's weights in an order that depends on which of its layers were trainable when it was
saved. Read in another order, weights of equal shapes change places without an error: so names decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldserve_contract.signature import Array

from ...errors import CannotLoad
from .hdf5 import array, names
from .tf_keras_private import preprocess_weights, weights_in_file_order


@dataclass(frozen=True, slots=True, eq=False)
class H5Weight:
    """Array of the file and its name there, such as `conv_1/kernel:0`."""

    name: str
    value: Array

    @property
    def scopes(self) -> list[str]:
        """The scopes in its name, outermost first."""
        return self.name.split("/")[:-1]

    @property
    def short(self) -> str:
        """Its name inside the layer."""
        return short_name(self.name)


def short_name(name: str) -> str:
    """The last part of a weight's name: `kernel` of `conv_1/kernel:0`."""
    return name.split("/")[-1].split(":")[0]


def assign_by_name(model: Any, group: Any, version: str, path: Path) -> None:
    """Sets every weight of a tf-keras model.

    Args:
        model: The model, built.
        group: The HDF5 group `model_weights`.
        version: The version of Keras that wrote it.
        path: The file, for messages.

    Raises:
        CannotLoad: A layer's weights are missing, have other shapes, or cannot be distinguished.
    """
    for layer, name in _pairs(model, group, path):
        entries = [H5Weight(weight, array(group[name], weight)) for weight in names(group[name], "weight_names")]
        place = f"{path}: layer {layer.name!r}"
        if hasattr(layer, "layers"):
            _fill_nested(layer, entries, version, place)
        else:
            _fill_layer(layer, entries, version, place)


def _pairs(model: Any, group: Any, path: Path) -> Iterator[tuple[Any, str]]:
    """Pairs of a layer and its group, by name; old nested Sequentials have no name in the file and pair up in order."""
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    groups = [name for name in names(group, "layer_names") if len(names(group[name], "weight_names"))]
    unmatched = [name for name in groups if name not in layers]
    left = [layer for name, layer in layers.items() if name not in groups]
    if len(left) != len(unmatched):
        raise CannotLoad(
            f"{path} is not whole: it has weights for {unmatched or 'no other layers'} where the model has"
            f" {[layer.name for layer in left] or 'none left'}"
        )
    yield from ((layers[name], name) for name in groups if name in layers)
    yield from zip(left, unmatched, strict=True)


def _fill_nested(model: Any, entries: Sequence[H5Weight], version: str, place: str) -> None:
    units = list({id(unit): unit for unit in _units(model)}.values())
    owned = _owned(units, entries)
    if owned is not None:
        for unit, own in zip(units, owned, strict=True):
            _fill_layer(unit, own, version, f"{place}, in it {unit.name!r}")
        return
    _assign(_matching_order(model, units, entries, place), [entry.value for entry in entries])


def _units(model: Any) -> Iterator[Any]:
    """The layers with weights that are not models, at any depth."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _units(layer)
        elif layer.weights:
            yield layer


def _owned(units: Sequence[Any], entries: Sequence[H5Weight]) -> list[list[H5Weight]] | None:
    """The entries of each unit, if their names assign all of them without ambiguity; else None."""
    by_name: dict[str, list[H5Weight]] = {unit.name: [] for unit in units}
    for entry in entries:
        owner = next((scope for scope in entry.scopes if scope in by_name), None)
        if owner is None:
            return None
        by_name[owner].append(entry)
    is_complete = len(by_name) == len(units) and all(len(by_name[unit.name]) == len(unit.weights) for unit in units)
    return [by_name[unit.name] for unit in units] if is_complete else None


def _matching_order(model: Any, units: Sequence[Any], entries: Sequence[H5Weight], place: str) -> list[Any]:
    """The only order that the names do not contradict, where TensorFlow renumbered them (`conv_1_2/kernel`)."""
    matching = [order for order in _orders(model, units) if _fits(order, entries)]
    if not matching or any([id(v) for v in order] != [id(v) for v in matching[0]] for order in matching):
        raise CannotLoad(
            f"{place}: the names of its {len(entries)} weights do not tell which layer each belongs to"
            f" (the first is {entries[0].name if entries else 'missing'!r}, the model's {units[0].weights[0].name!r});"
            " load the file with the Keras that wrote it and save it from a fresh process"
        )
    return matching[0]


def _orders(model: Any, units: Sequence[Any]) -> Iterator[list[Any]]:
    """The orders in which Keras versions wrote a nested model's weights, with its layers frozen or not."""
    yield weights_in_file_order(model)
    yield [variable for unit in units for variable in weights_in_file_order(unit)]
    flags = [unit.trainable for unit in units]
    for unit in units:
        unit.trainable = True
    yield [v for unit in units for v in unit.trainable_weights] + [v for u in units for v in u.non_trainable_weights]
    for unit, flag in zip(units, flags, strict=True):
        unit.trainable = flag


def _fits(variables: Sequence[Any], entries: Sequence[H5Weight]) -> bool:
    return len(variables) == len(entries) and all(
        tuple(variable.shape) == entry.value.shape
        and short_name(variable.name) == entry.short
        and _same_scope(variable.name.split("/")[:-1], entry.scopes)
        for variable, entry in zip(variables, entries, strict=True)
    )


def _same_scope(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return bool(ours) and any(scope == ours[-1] or scope.startswith(f"{ours[-1]}_") for scope in theirs)


def _fill_layer(layer: Any, entries: Sequence[H5Weight], version: str, place: str) -> None:
    variables = weights_in_file_order(layer)
    layer_names, file_names = [short_name(v.name) for v in variables], [entry.short for entry in entries]
    if len(set(layer_names)) == len(layer_names) and sorted(layer_names) == sorted(file_names):
        entries = [entries[file_names.index(name)] for name in layer_names]
    values = preprocess_weights(layer, [entry.value for entry in entries], version)
    expected, actual = [tuple(v.shape) for v in variables], [value.shape for value in values]
    if expected != actual:
        raise CannotLoad(f"{place} ({type(layer).__name__}) takes weights of shapes {expected}; the file has {actual}")
    _assign(variables, values)


def _assign(variables: Sequence[Any], values: Sequence[Array]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
