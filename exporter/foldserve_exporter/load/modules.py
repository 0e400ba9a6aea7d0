"""Modules of the user's own: where they are found, and models that a function in one makes."""

import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from ..error_text import error_text
from ..errors import CannotLoad, Refused

_FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


def search_working_directory() -> None:
    """Has modules of the working directory found, behind all others: a command's own script does not look there."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def search_path() -> tuple[str, ...]:
    """Where this process looks for modules, such that it means the same in any working directory."""
    return tuple(str(Path(entry).resolve()) for entry in sys.path)


def extend_search_path(entries: Sequence[str]) -> None:
    """Has modules found in these places too, behind where this process looks already."""
    sys.path.extend(entry for entry in entries if entry not in sys.path)


def import_modules(names: Sequence[str]) -> None:
    """Imports modules whose classes register themselves with Keras.

    Raises:
        CannotLoad: One cannot be imported.
    """
    for name in names:
        _import(name, f"--custom-objects {name}")


def objects_of(names: Sequence[str]) -> dict[str, Any]:
    """The classes and functions that imported modules define, by their names: Keras itself finds registered ones."""
    return {
        key: value
        for name in names
        for key, value in vars(importlib.import_module(name)).items()
        if callable(value) and getattr(value, "__module__", None) == name
    }


def _import(name: str, asked: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise CannotLoad(
            f"{asked}: the module cannot be imported: {error_text(error)}; it is looked for in the working directory"
            " and where PYTHONPATH says"
        ) from error


@dataclass(frozen=True, slots=True)
class ModelFunction:
    """`package.module:function`, which gives a built model."""

    module: str
    name: str

    @classmethod
    def named_by(cls, words: str) -> "ModelFunction | None":
        """None where the words are a path."""
        match = _FUNCTION.fullmatch(words)
        return None if match is None or Path(words).exists() else cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    def call(self, *, trust_code: bool) -> Any:
        """The model.

        Raises:
            Refused: Code was not allowed.
            CannotLoad: There is no such function, it fails, or what it gives is no Keras model.
        """
        if not trust_code:
            raise Refused(
                f"{self} is code, which importing and calling it would run; pass --trust-code if you trust it"
            )
        function = getattr(_import(self.module, str(self)), self.name, None)
        if not callable(function):
            raise CannotLoad(f"{self}: the module {self.module} has no function {self.name!r}")
        try:
            model = function()
        except Exception as error:
            raise CannotLoad(f"{self} was called without arguments and failed: {error_text(error)}") from error
        if not isinstance(model, keras.Model):
            raise CannotLoad(f"{self} gave a {type(model).__name__}, not a Keras model")
        return model
