"""Walks through a model, up to the first layer that cannot take what it is given or has nothing left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from foldserve_contract.signature import Array

from ..computation import computation_error, is_of_machine
from ..graph import keras_private as private

RowShapes = tuple[tuple[int, ...], ...]
"""The shape of a row of every input; nothing is open."""
_NOTHING_LEFT = "nothing is left behind it"


@dataclass(slots=True)
class ModelWalk:
    """Result of a walk.

    Attributes:
        layer: The first layer that cannot take what it is given, or has nothing left; empty where there is none.
        reason: The reason, in words.
        sizes: Every size of a dimension between the batch and the last that was met.
    """

    layer: str = ""
    reason: str = ""
    sizes: set[int] = field(default_factory=set)

    @property
    def fits(self) -> bool:
        """True if every layer has something left."""
        return not self.layer

    def stop(self, layer: str, reason: str) -> None:
        """Ends the walk at a layer."""
        self.layer, self.reason = layer, reason


def walk_shapes(model: Any, row_shapes: RowShapes) -> ModelWalk:
    """Infers the shapes of a functional model without computing anything.

    Args:
        model: A functional `keras.Model`.
        row_shapes: The shape of a row of each input, in the flattened order.
    """
    tensors = [
        keras.KerasTensor((None, *shape), dtype=tensor.dtype)
        for shape, tensor in zip(row_shapes, model.inputs, strict=True)
    ]
    return _walk(model, tensors, lambda operation, args, kwargs: operation.compute_output_spec(*args, **kwargs))


def walk_values(model: Any, arrays: list[Array]) -> ModelWalk:
    """Computes a functional model on arrays, one for each input in the flattened order."""
    tensors = [
        keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
        for array, tensor in zip(arrays, model.inputs, strict=True)
    ]
    return _walk(model, tensors, lambda operation, args, kwargs: operation(*args, **kwargs))


def _walk(model: Any, tensors: list[Any], call: Callable[[Any, Any, Any], Any]) -> ModelWalk:
    walk = ModelWalk()
    _Follower(walk, call).follow(model, tensors)
    return walk


@dataclass(frozen=True, slots=True)
class _Follower:
    """Follower of a model's calls, with shapes or with values."""

    walk: ModelWalk
    run: Callable[[Any, Any, Any], Any]

    def follow(self, model: Any, tensors: list[Any]) -> list[Any]:
        """The output tensors of a functional model; none where the walk ended, or a shape cannot be inferred."""
        results = {id(symbol): tensor for symbol, tensor in zip(model.inputs, tensors, strict=True)}
        for call in private.calls_in_order(model):
            if self.walk.fits and all(id(tensor) in results for tensor in call.input_tensors):
                results.update(zip(map(id, call.outputs), self._call(call, results), strict=False))
        return [results[id(tensor)] for tensor in model.outputs if id(tensor) in results]

    def _call(self, call: Any, results: dict[int, Any]) -> list[Any]:
        """The outputs of one call; none where Keras cannot infer them."""
        args, kwargs = keras.tree.map_structure(
            lambda leaf: results[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf,
            (call.arguments.args, call.arguments.kwargs),
        )
        inner = private.functional(call.operation)
        if inner is not None:
            return self.follow(inner, [results[id(tensor)] for tensor in call.input_tensors])
        try:
            _check_joined(call.operation, args)
            outputs: list[Any] = keras.tree.flatten(self.run(call.operation, args, kwargs))
        except NotImplementedError:
            return []
        except Exception as error:  # a layer's own checks raise whatever they like
            if not is_of_machine(error):
                self.walk.stop(call.operation.name, computation_error(error))
            return []
        self._check_left(call.operation.name, outputs)
        return outputs

    def _check_left(self, layer: str, outputs: list[Any]) -> None:
        for tensor in outputs:
            self.walk.sizes.update(size for size in tensor.shape[1:-1] if size)
            if any(size is not None and size <= 0 for size in tensor.shape[1:]):
                self.walk.stop(layer, _NOTHING_LEFT)


def _check_joined(operation: Any, args: Any) -> None:
    """Checks that tensors to be concatenated differ along the axis of that alone, which Keras does not infer.

    Raises:
        ValueError: They differ elsewhere.
    """
    if type(operation).__name__ != "Concatenate":
        return
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(args) if hasattr(tensor, "shape")]
    axis = operation.axis % len(shapes[0])
    others = {shape[1:axis] + shape[axis + 1 :] for shape in shapes} if axis else set()
    if len(others) > 1:
        raise ValueError(f"it concatenates tensors of the shapes {', '.join(map(str, shapes))} along axis {axis}")
