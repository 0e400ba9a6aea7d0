"""Conversion of a tf-keras model to Keras 3, call by call.

Each layer is constructed once and called as often as the old one was, nested models stay nested, and every layer gets
its weights from the layer that it was converted from: no order over several layers is involved.
"""

import inspect
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ...error_text import error_text
from ...errors import CannotLoad, ExportError, Refused
from ...graph.keras_private import calls_between
from . import tf_keras_private as private
from .copy_weights import copy_weights
from .custom import CustomObjects
from .layers import Translator, ends_in_hard_sigmoid, keras_name
from .operators import apply_operator, is_slice, slices
from .sanitize import OPERATORS
from .tensor_functions import call_function, is_as_certain


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """The new model, and pairs of each tensor of the old model's outermost graph with its counterpart."""

    model: Any
    tensors: tuple[tuple[Any, Any], ...]


def convert(model: Any, path: Path, custom: CustomObjects) -> Converted:
    """Converts a functional tf-keras model to Keras 3, with its weights and flags.

    Args:
        model: The tf-keras model, with its weights.
        path: The file it comes from, for messages.
        custom: The custom classes and functions, and their counterparts.

    Raises:
        Refused: A layer, a setting or an operator has no counterpart; the message names it.
        CannotLoad: A call cannot be repeated, or weights do not pair up.
    """
    conversion = _Conversion(path, Translator(path, custom))
    with warnings.catch_warnings():  # of lambda functions in layers, which are not going to be saved
        warnings.simplefilter("ignore")
        new, tensors = conversion.model(model)
    for old_layer, new_layer in conversion.pairs:
        copy_weights(old_layer, new_layer)
    return Converted(new, tensors)


class _Conversion:
    """State of one conversion: a shared layer is converted once.

    Attributes:
        pairs: Each layer with weights and its counterpart, whose weights are still to be copied.
    """

    def __init__(self, path: Path, translator: Translator) -> None:
        self.path = path
        self.translator = translator
        self.pairs: list[tuple[Any, Any]] = []
        self._layers: dict[int, Any] = {}
        self._fixed_batch = False
        self._names: Counter[str] = Counter()

    def model(self, old: Any) -> tuple[Any, tuple[tuple[Any, Any], ...]]:
        """The new model, and pairs of the tensors of both."""
        import tensorflow as tf

        # inputs of the same names, shapes and dtypes
        old_inputs, old_outputs = private.structure(old)
        inputs = tf.nest.map_structure(lambda tensor: _input(tensor, private.takes_any_batch(old)), old_inputs)
        self._fixed_batch |= any(tensor.shape[0] is not None for tensor in tf.nest.flatten(old_inputs))
        converted = {id(o): n for o, n in zip(tf.nest.flatten(old_inputs), tf.nest.flatten(inputs), strict=True)}
        # every call of the old model on the converted tensors
        tensors = []
        for call in private.calls_in_order(old):
            results = self._replay(call, converted)
            for before, after in zip(tf.nest.flatten(call.outputs), tf.nest.flatten(results), strict=True):
                converted[id(before)] = after
                tensors.append((before, after))
        outputs = tf.nest.map_structure(lambda tensor: converted[id(tensor)], old_outputs)
        return keras.Model(_plain(inputs), _plain(outputs), name=keras_name(old)), tuple(tensors)

    def _replay(self, call: private.LayerCall, converted: Mapping[int, Any]) -> Any:
        """The result of an old call, made on the converted tensors in Keras 3."""
        import tensorflow as tf

        def counterpart(leaf: Any) -> Any:
            tensor = converted.get(id(leaf))
            return tensor if tensor is not None else leaf.numpy() if hasattr(leaf, "numpy") else leaf

        args, kwargs = tf.nest.map_structure(counterpart, (call.args, call.kwargs))
        place = f"{self.path}: layer {call.layer.name!r}"
        try:
            return self._call(call, _plain(args), {key: _plain(value) for key, value in kwargs.items()})
        except ExportError:
            raise
        except Exception as error:
            if self.translator.custom.counterpart(type(call.layer)) is not None:
                _require_a_first_argument(self.translator.kind(call.layer), place)
            place = f"{place} ({type(call.layer).__name__})"
            raise CannotLoad(f"{place} cannot be called in Keras 3: {error_text(error)}") from error

    def _call(self, call: private.LayerCall, args: Any, kwargs: dict[str, Any]) -> Any:
        old, kind = call.layer, type(call.layer).__name__
        # operators, and layers that Keras 3 lacks, become operations
        if kind in OPERATORS:
            return self._operator(call, args, kwargs)
        if kind == "ThresholdedReLU":
            (x,) = args
            kept = keras.ops.cast(keras.ops.greater(x, float(old.theta)), x.dtype)
            return self._named(old, args, {}, keras.ops.multiply(x, kept))
        # all others become the layer of that name; recurrent layers take their states as an argument of its own
        arguments = {key: value for key, value in kwargs.items() if value is not None}
        if args and isinstance(args[0], list) and (hasattr(old, "cell") or hasattr(old, "forward_layer")):
            args, arguments = (args[0][0],), {**arguments, "initial_state": args[0][1:]}
        result = self.layer(old)(*args, **arguments)
        return self._named(old, result, {}, _hard_sigmoid(result)) if ends_in_hard_sigmoid(old) else result

    def _operator(self, call: private.LayerCall, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of a TensorFlow function: by `keras.ops` where they compute the same, else by the function."""
        name = call.layer.get_config()["function"]
        if is_slice(name):
            args, kwargs = slices(args), {key: slices(value) for key, value in kwargs.items()}
        specs = private.result_specs(call)
        result = apply_operator(name, args, kwargs, [None if self._fixed_batch else shape for shape, _ in specs])
        if result is not None and is_as_certain(result, specs):
            return self._named(call.layer, args, kwargs, result)
        place = f"{self.path}: layer {call.layer.name!r}"
        return call_function(name, args, kwargs, None if self._fixed_batch else specs, self._name(call.layer), place)

    def _name(self, old: Any) -> str:
        self._names[keras_name(old)] += 1
        return f"{keras_name(old)}_operation_{self._names[keras_name(old)]}"

    def _named(self, old: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> Any:
        """The result, with its operations renamed to names that no layer of the model has, as Keras' own may be."""
        inputs = [leaf for leaf in keras.tree.flatten((args, dict(kwargs))) if isinstance(leaf, keras.KerasTensor)]
        outputs = [tensor for tensor in keras.tree.flatten(result) if all(tensor is not x for x in inputs)]
        for call in calls_between(inputs, outputs):
            call.operation.name = self._name(old)
        return result

    def layer(self, old: Any) -> Any:
        """The Keras 3 layer or model that a tf-keras one is converted to."""
        if id(old) not in self._layers:
            self._layers[id(old)] = self._make(old)
        return self._layers[id(old)]

    def _make(self, old: Any) -> Any:
        # a nested model
        if hasattr(old, "layers"):
            return self.model(old)[0]
        # Bidirectional, whose weights are copied as one layer's
        inner_layers: dict[str, Any] = {}
        if hasattr(old, "forward_layer"):
            inner_layers = {
                "layer": self._inside(old.forward_layer),
                "backward_layer": self._inside(old.backward_layer),
            }
        elif type(old).__name__ in ("RNN", "StackedRNNCells"):
            raise Refused(
                f"{self.path}: layer {old.name!r} is an RNN over cells; use the LSTM or GRU layer, and save it again"
            )
        # other wrappers, whose weights are those of the layer or model in them
        elif hasattr(old, "layer") and hasattr(old.layer, "get_config"):
            inner = self.layer(old.layer) if hasattr(old.layer, "layers") else self._inside(old.layer)
            new = self.translator.make(old, {"layer": inner})
            if not hasattr(old.layer, "layers"):
                self.pairs.append((old.layer, inner))
            return new
        new = self.translator.make(old, inner_layers)
        self.pairs.append((old, new))
        return new

    def _inside(self, old: Any) -> Any:
        if ends_in_hard_sigmoid(old) or type(old).__name__ == "ThresholdedReLU":
            raise Refused(
                f"{self.path}: layer {old.name!r} inside a wrapper does what Keras 3 has no layer for;"
                " take it out of the wrapper, and save the model again"
            )
        return self.translator.make(old, {})


def _require_a_first_argument(kind: Any, place: str) -> None:
    """Refuses a class of Keras 3 whose ``call`` names no input: Keras cannot tell what such a layer is built for."""
    parameters = inspect.signature(kind.call).parameters if kind is not None else {}
    if parameters and list(parameters.values())[1].kind is inspect.Parameter.VAR_POSITIONAL:
        raise Refused(
            f"{place}: {kind.__module__}.{kind.__name__} has the signature call{inspect.signature(kind.call)}, in which"
            " Keras 3 finds no input; name its input there, as in call(self, inputs, **kwargs)"
        )


def _input(tensor: Any, takes_any_batch: bool) -> Any:
    name = str(tensor._keras_history.layer.name).replace("/", "_")
    dtype = tensor.dtype.name
    shape = (None if takes_any_batch else tensor.shape[0], *tensor.shape[1:])
    return keras.Input(batch_shape=shape, dtype="float32" if "float" in dtype else dtype, name=name)


def _plain(structure: Any) -> Any:
    """The structure in plain lists and dicts, not in the wrappers by which TensorFlow tracks them."""
    if isinstance(structure, Mapping):
        return {key: _plain(value) for key, value in structure.items()}
    if isinstance(structure, list):
        return [_plain(item) for item in structure]
    return tuple(_plain(item) for item in structure) if type(structure) is tuple else structure


def _hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(keras.ops.add(keras.ops.multiply(x, 0.2), 0.5), 0.0, 1.0)
