"""Translation of a tf-keras layer to a Keras 3 layer: its class by name, its configuration by argument."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from ...error_text import error_text
from ...errors import Refused
from .custom import CustomObjects

_UNUSED = ("_initializer", "_regularizer", "_constraint")
_ALWAYS_DROPPED = frozenset(
    {
        "autocast", "batch_input_shape", "build_config", "cell", "dtype", "fused", "implementation",
        "input_length", "layer", "name", "query_shape", "key_shape", "value_shape", "renorm_clipping", "rng_type",
        "trainable",
        "virtual_batch_size", "zero_output_for_mask", "backward_layer", "cells", "activation", "recurrent_activation",
    }
)  # fmt: skip
"""Arguments for training, speed and building, and those that are set in other ways."""
_DROPPED_WHEN: Mapping[str, tuple[Any, ...]] = {
    "groups": (1,),
    "adjustment": (None,),
    "renorm": (False,),
    "renorm_momentum": (0.99, None),
    "time_major": (False,),
    "ragged": (False,),
    "sparse": (False,),
    "keepdims": (False,),
    "unroll": (False, True),
    "noise_shape": (None,),
    "softmax_robust_masking": (False,),
}
"""Arguments that the Keras 3 layer lacks, and the values with which they had no effect."""
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
HARD_SIGMOID = "hard_sigmoid"


class Translator:
    """Constructs Keras 3 layers from tf-keras layers of the model in ``path``; ``custom`` has those of its author."""

    def __init__(self, path: Path, custom: CustomObjects) -> None:
        self.path = path
        self.custom = custom

    def make(self, old: Any, inner_layers: Mapping[str, Any]) -> Any:
        """Constructs the counterpart of a layer, without weights.

        Args:
            old: The tf-keras layer.
            inner_layers: The converted layers that it wraps, by constructor argument.

        Raises:
            Refused: It has an argument without a counterpart; the message names layer, argument and value.
        """
        kind = self.kind(old)
        if kind.__name__ == "Lambda":
            return keras.layers.Lambda(old.function, arguments=old.arguments, name=keras_name(old))
        arguments = self._arguments(old, kind)
        try:
            return kind(**arguments, **inner_layers, name=keras_name(old))
        except (TypeError, ValueError) as error:
            raise Refused(f"{self.path}: layer {old.name!r} cannot be made in Keras 3: {error_text(error)}") from error

    def kind(self, old: Any) -> Any:
        """The class of Keras 3 that a layer is converted to."""
        counterpart = self.custom.counterpart(type(old))
        if counterpart is not None:
            return counterpart
        name = type(old).__name__
        if name == "SyncBatchNormalization":
            name = "BatchNormalization"
        return getattr(keras.layers, name)

    def _arguments(self, old: Any, kind: Any) -> dict[str, Any]:
        """The constructor arguments of the Keras 3 layer."""
        config, accepted = old.get_config(), _accepted(kind)
        renamed = _RENAMED.get(kind.__name__, {})
        arguments: dict[str, Any] = {}
        # arguments that both have; of others only those that had no effect may be dropped
        for key, value in config.items():
            key = renamed.get(key, key)
            if key in _ALWAYS_DROPPED or key.endswith(_UNUSED):
                continue
            if key in accepted:
                arguments[key] = _value(key, value)
            elif value not in _DROPPED_WHEN.get(key, ()):
                raise Refused(
                    f"{self.path}: layer {old.name!r} ({kind.__name__}) has {key}={value!r}, which Keras 3 lacks;"
                    " build it from other layers, retrain or copy the weights, and save the model again"
                )
        # activations by name, and float32 for whatever computes in floats
        arguments |= self._activations(old, config)
        if kind.__name__ == "Embedding" or "int" in str(config.get("dtype")):
            return arguments
        return arguments | {"dtype": "float32"}

    def _activations(self, old: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("activation", "recurrent_activation")
        return {key: self._activation(old, key) for key in keys if key in config}

    def _activation(self, old: Any, key: str) -> Any:
        function = getattr(old, key)
        if hasattr(function, "get_config"):
            return self.make(function, {})
        custom = self.custom.counterpart(function)
        if custom is not None or is_lambda(function):
            return custom or function
        name = getattr(function, "__name__", str(function))
        if key == "activation" and name == HARD_SIGMOID:
            return self._without_hard_sigmoid(old)
        if not hasattr(keras.activations, name):
            raise Refused(f"{self.path}: layer {old.name!r} has the activation {name!r}, which Keras 3 lacks")
        return name

    def _without_hard_sigmoid(self, old: Any) -> None:
        """No activation, as Keras 3 gave `hard_sigmoid` another slope: the caller adds Keras 2's behind the layer."""
        if not ends_in_hard_sigmoid(old):
            raise Refused(
                f"{self.path}: layer {old.name!r} has Keras 2's hard_sigmoid inside, which Keras 3 lacks;"
                " retrain it with activation='tanh' or 'sigmoid'"
            )


def is_lambda(function: Any) -> bool:
    """True for a function of the file itself, which was made only because code in it is trusted."""
    return getattr(function, "__name__", "") == "<lambda>"


def ends_in_hard_sigmoid(old: Any) -> bool:
    """True if a layer ends in `hard_sigmoid` as Keras 2 had it: clip(0.2·x + 0.5, 0, 1)."""
    name = getattr(getattr(old, "activation", None), "__name__", "")
    return bool(name == HARD_SIGMOID and not hasattr(old, "recurrent_activation") and not hasattr(old, "cell"))


def keras_name(old: Any) -> str:
    """A layer's name in Keras 3's form: without slashes."""
    return str(old.name).replace("/", "_")


def _accepted(kind: Any) -> set[str]:
    """The constructor's arguments, those that it passes on to its base classes included."""
    accepted: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            accepted |= {parameter.name for parameter in parameters}
            if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
                break
    return accepted


def _value(key: str, value: Any) -> Any:
    if key == "axis" and isinstance(value, list | tuple) and len(value) == 1:
        return value[0]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
