"""Layer configurations for inference: one dtype, no regulariser, no constraint, no dropout."""

import inspect
from collections.abc import Mapping
from typing import Any

from .inference_mode import DROPOUT_ARGUMENTS

Config = Mapping[str, Any]


def inference_config(config: Config, name: str, dtype: str, stock: bool) -> dict[str, Any]:
    """The configuration that constructs a layer anew under another name and dtype.

    Initialisers of stock layers become zeros: the weights are set right after, and drawing millions of them is slow.
    """
    cleaned: dict[str, Any] = _cleaned(config, dtype, stock)
    cleaned["name"] = name
    return cleaned


def with_custom_functions(layer: Any, config: Config) -> dict[str, Any]:
    """A stock layer's configuration that holds custom functions as objects rather than serialized.

    Keras deserializes them only where they are registered, and a name alone may be that of one of Keras' own.
    """
    return {key: _function(getattr(layer, key, None), value) for key, value in config.items()}


def _function(attribute: Any, serialized: Any) -> Any:
    is_custom = inspect.isfunction(attribute) and (
        isinstance(serialized, Mapping) or not attribute.__module__.startswith("keras.")
    )
    return attribute if is_custom else serialized


def _cleaned(config: Config, dtype: str, stock: bool) -> dict[str, Any]:
    return {key: _value(key, value, dtype, stock) for key, value in config.items()}


def _value(key: str, value: Any, dtype: str, stock: bool) -> Any:
    if key == "dtype":
        return _dtype(value, dtype)
    if key == "trainable":
        return True
    if key in DROPOUT_ARGUMENTS:
        return 0.0 if isinstance(value, int | float) else value
    if stock and key.endswith(("_regularizer", "_constraint")):
        return None
    if stock and key.endswith("_initializer") and value is not None:
        return "zeros"
    if isinstance(value, Mapping):
        return _cleaned(value, dtype, stock)
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return [_cleaned(item, dtype, stock) for item in value]
    return value


def _dtype(value: Any, dtype: str) -> Any:
    name = value
    if isinstance(value, Mapping):
        name = value.get("config", {}).get("name", "")
    return dtype if isinstance(name, str) and "float" in name else value
