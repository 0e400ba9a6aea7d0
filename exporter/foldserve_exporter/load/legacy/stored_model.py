"""Stored model: the contents of a Keras 2 file in any of its formats."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CannotLoad

MAX_CONFIG_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in a file, before anything of it is constructed.

    Attributes:
        path: The file or directory.
        version: The version of Keras that wrote it, such as `2.10.0` or `2.2.4-tf`; empty where it is not recorded.
        config: The class and configuration of the model.
        fill: Function that sets the weights of a tf-keras model constructed from the configuration.
    """

    path: Path
    version: str
    config: Any
    fill: Callable[[Any], None]


def parse_config(text: str | bytes, path: Path) -> Any:
    """Parses JSON from a model file.

    Raises:
        CannotLoad: It is too large or damaged.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise CannotLoad(f"{path}: its model configuration is larger than {MAX_CONFIG_BYTES:,} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotLoad(f"{path}: its model configuration is damaged: {error}") from error


def model_config(config: Any, path: Path) -> dict[str, Any]:
    """The same configuration, checked to describe a model.

    Raises:
        CannotLoad: It does not describe a model.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise CannotLoad(f"{path}: its model configuration describes no model; save the whole model again")
    return config
