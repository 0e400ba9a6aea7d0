"""Reads a model file into a Keras 3 model."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from foldserve_contract.digest import sha256_file
from foldserve_contract.manifest import Source

from ..errors import CannotLoad, ExportError
from .safety import read_config, refuse_code


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model and the file it came from."""

    model: Any
    source: Source


def load_model(path: Path, *, trust_code: bool = False, custom_objects: Sequence[str] = ()) -> Loaded:
    """Loads a `.keras` file.

    Args:
        path: The file.
        trust_code: Whether Lambda layers, which run code from the file, are allowed.
        custom_objects: Modules to import first; their classes register themselves with Keras.

    Raises:
        CannotLoad: It is not a `.keras` file, is damaged, or a module cannot be imported.
        Refused: It would run code that was not allowed.
    """
    if not path.is_file():
        raise CannotLoad(f"{path} is not a file; give a model saved with model.save('NAME.keras')")
    if path.suffix != ".keras":
        raise CannotLoad(
            f"{path} has the ending {path.suffix!r}; this version reads .keras files:"
            " load it with the Keras that wrote it and save it as NAME.keras"
        )
    config = read_config(path)
    _import_modules(custom_objects)
    if not trust_code and not custom_objects:
        refuse_code(config, path)
    return Loaded(_deserialize(path, trust_code), Source(path.name, sha256_file(path)))


def _import_modules(names: Sequence[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise CannotLoad(f"--custom-objects {name}: the module cannot be imported: {error}") from error


def _deserialize(path: Path, trust_code: bool) -> Any:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust_code)
    except ExportError:
        raise
    except Exception as error:
        raise CannotLoad(f"{path} cannot be read as a Keras model: {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise CannotLoad(f"{path} holds a {type(model).__name__}, not a Keras model")
    return model
