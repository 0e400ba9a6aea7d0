"""The inputs of a model: names, shapes, dtypes and the structure they are given in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from .ir import Shape, TensorInfo
from .unique_names import tensor_names


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """Inputs in flattened order; ``structure`` holds each one's position where its tensor stood."""

    inputs: tuple[TensorInfo, ...]
    structure: Any


def read_inputs(model: Any) -> ModelInputs:
    """Read the inputs of a model, functional or subclassed.

    Raises:
        Refused: the model was never built, or its inputs are such as cannot be served.
    """
    inner = private.functional(model)
    if inner is not None:
        tensors = private.input_structure(inner)
        names = _names(tensors, [t.name for t in keras.tree.flatten(tensors)])
        if not isinstance(model, keras.Sequential):  # which has the batch that it was first called on, and takes any
            _check_batch(tensors, names)
        return _model_inputs(tensors, names)
    shapes = private.build_shapes(model)
    if not shapes:
        raise Refused(
            f"{model.name}: the model was never built, so its input shapes are unknown. "
            "Call it once on data, or give the Sequential an Input layer, and save it again."
        )
    return _model_inputs(*_subclassed(model, shapes))


def _subclassed(model: Any, shapes: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Symbolic inputs from the shapes a model was built with; its first ``call`` argument alone is fed."""
    structure = _plain(next(iter(shapes.values())))
    if len(shapes) > 1:
        raise Refused(
            f"{model.name}: call() takes several tensor arguments {sorted(shapes)}. "
            "Let it take one list or dict of tensors."
        )
    tensors = keras.tree.map_shape_structure(
        lambda shape: keras.KerasTensor((None, *shape[1:]), dtype="float32"), structure
    )
    return tensors, _names(tensors, ["keras_tensor"] * len(keras.tree.flatten(tensors)))


def _plain(structure: Any) -> Any:
    """The structure in plain tuples, lists and dicts: Keras keeps its own kinds, and may keep a shape as a list."""
    if isinstance(structure, Mapping):
        return {key: _plain(value) for key, value in structure.items()}
    if all(item is None or isinstance(item, int) for item in structure):
        return tuple(structure)
    items = [_plain(item) for item in structure]
    return tuple(items) if isinstance(structure, tuple) else items


def _names(structure: Any, names: list[str]) -> list[str]:
    """The input names: the keys of a flat dict, which callers feed, or else the names of the tensors."""
    if isinstance(structure, Mapping) and not any(map(_is_nested, structure.values())):
        return keys_in_order(structure)
    return names


def _check_batch(structure: Any, names: list[str]) -> None:
    for tensor, name in zip(keras.tree.flatten(structure), names, strict=True):
        if tensor.shape and tensor.shape[0] not in (None, 1):
            raise Refused(
                f"{name}: the batch is fixed to {tensor.shape[0]}. "
                "Make the model anew with a dynamic batch (None) and load the weights."
            )


def keys_in_order(structure: Mapping[Any, Any]) -> list[str]:
    """The key of each tensor as Keras flattens the structure: a dict by its sorted keys, an OrderedDict by its own."""
    return [str(path[0]) for path, _ in keras.tree.flatten_with_path(structure)]


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _model_inputs(tensors: Any, names: list[str]) -> ModelInputs:
    flat = keras.tree.flatten(tensors)
    positions = {id(tensor): position for position, tensor in enumerate(flat)}
    named = tensor_names(names, "input")
    specs = tuple(_spec(tensor, name) for tensor, name in zip(flat, named, strict=True))
    return ModelInputs(specs, keras.tree.map_structure(lambda tensor: positions[id(tensor)], tensors))


def _spec(tensor: Any, name: str) -> TensorInfo:
    shape: Shape = tuple(tensor.shape)
    dtype = str(keras.backend.standardize_dtype(tensor.dtype))
    if dtype == "string":
        raise Refused(f"{name}: string inputs cannot be exported. Encode strings before the model.")
    if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
        raise Refused(f"{name}: sparse and ragged inputs cannot be exported. Feed dense tensors.")
    return TensorInfo(name, (None, *shape[1:]), "float32" if "float" in dtype else dtype, private.is_optional(tensor))
