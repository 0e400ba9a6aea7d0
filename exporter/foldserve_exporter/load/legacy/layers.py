"""One layer of tf-keras as a Keras 3 layer: its class by name, its configuration in today's words."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from ...error_text import error_text
from ...errors import Refused

_UNUSED = ("_initializer", "_regularizer", "_constraint")
_ALWAYS_DROPPED = frozenset(
    {
        "autocast", "batch_input_shape", "build_config", "cell", "dtype", "fused", "implementation",
        "input_length", "layer", "name", "query_shape", "key_shape", "value_shape", "renorm_clipping", "rng_type",
        "trainable",
        "virtual_batch_size", "zero_output_for_mask", "backward_layer", "cells", "activation", "recurrent_activation",
    }
)  # fmt: skip
"""Settings of training, of speed, of building, and those that are set in other ways."""
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
"""Settings that today's layer lacks, and the values with which they said nothing."""
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
HARD_SIGMOID = "hard_sigmoid"


class Translator:
    """Makes Keras 3 layers; the model they come from is known for messages and for models inside wrappers."""

    def __init__(self, path: Path, custom: frozenset[str]) -> None:
        self.path = path
        self.custom = custom

    def make(self, old: Any, below: Mapping[str, Any]) -> Any:
        """A layer without weights.

        Args:
            old: The tf-keras layer.
            below: The converted layers that it wraps, by constructor argument.

        Raises:
            Refused: It has a setting without a counterpart; the message names layer, setting and value.
        """
        kind = self._class(old)
        if kind.__name__ == "Lambda":
            return keras.layers.Lambda(old.function, arguments=old.arguments, name=keras_name(old))
        words = self._settings(old, kind)
        try:
            return kind(**words, **below, name=keras_name(old))
        except (TypeError, ValueError) as error:
            raise Refused(f"{self.path}: layer {old.name!r} cannot be made in Keras 3: {error_text(error)}") from error

    def _class(self, old: Any) -> Any:
        import tf_keras

        name = type(old).__name__
        registered = tf_keras.saving.get_registered_name(type(old))
        if registered in self.custom:
            return keras.saving.get_registered_object(registered)
        if name == "SyncBatchNormalization":
            name = "BatchNormalization"
        return getattr(keras.layers, name)

    def _settings(self, old: Any, kind: Any) -> dict[str, Any]:
        config, accepted = old.get_config(), _accepted(kind)
        renamed = _RENAMED.get(kind.__name__, {})
        words: dict[str, Any] = {}
        for key, value in config.items():
            key = renamed.get(key, key)
            if key in _ALWAYS_DROPPED or key.endswith(_UNUSED):
                continue
            if key in accepted:
                words[key] = _value(key, value)
            elif value not in _DROPPED_WHEN.get(key, ()):
                raise Refused(
                    f"{self.path}: layer {old.name!r} ({kind.__name__}) has {key}={value!r}, which Keras 3 has not;"
                    " build it from other layers, retrain or copy the weights, and save the model again"
                )
        words |= self._activations(old, config)
        if kind.__name__ == "Embedding" or "int" in str(config.get("dtype")):
            return words
        return words | {"dtype": "float32"}

    def _activations(self, old: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for key in ("activation", "recurrent_activation"):
            if key in config:
                found[key] = self._activation(old, key)
        return found

    def _activation(self, old: Any, key: str) -> Any:
        function = getattr(old, key)
        if hasattr(function, "get_config"):
            return self.make(function, {})
        name = getattr(function, "__name__", str(function))
        if key == "activation" and name == HARD_SIGMOID:
            return self._without_hard_sigmoid(old)
        if not hasattr(keras.activations, name):
            raise Refused(f"{self.path}: layer {old.name!r} has the activation {name!r}, which Keras 3 has not")
        return name

    def _without_hard_sigmoid(self, old: Any) -> None:
        """Keras 3 gave `hard_sigmoid` another slope: the caller puts Keras 2's behind the layer instead."""
        if not ends_in_hard_sigmoid(old):
            raise Refused(
                f"{self.path}: layer {old.name!r} has Keras 2's hard_sigmoid inside, which Keras 3 has not;"
                " retrain it with activation='tanh' or 'sigmoid'"
            )


def ends_in_hard_sigmoid(old: Any) -> bool:
    """True if a layer ends in `hard_sigmoid` as Keras 2 had it: clip(0.2·x + 0.5, 0, 1)."""
    name = getattr(getattr(old, "activation", None), "__name__", "")
    return bool(name == HARD_SIGMOID and not hasattr(old, "recurrent_activation") and not hasattr(old, "cell"))


def keras_name(old: Any) -> str:
    """A layer's name as Keras 3 takes it: without slashes."""
    return str(old.name).replace("/", "_")


def _accepted(kind: Any) -> set[str]:
    """The constructor's arguments, also those that it hands on to its base classes."""
    found: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            found |= {each.name for each in parameters}
            if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
                break
    return found


def _value(key: str, value: Any) -> Any:
    if key == "axis" and isinstance(value, list | tuple) and len(value) == 1:
        return value[0]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
