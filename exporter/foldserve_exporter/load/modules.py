"""Custom modules: the search path, imports, and functions in them that return models."""

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
    """Appends the working directory to the module search path, which a command's own script does not have there."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def module_search_path() -> tuple[str, ...]:
    """The module search path of this process, in absolute paths, valid in any working directory."""
    return tuple(str(Path(entry).resolve()) for entry in sys.path)


def extend_search_path(entries: Sequence[str]) -> None:
    """Appends entries to the module search path of this process."""
    sys.path.extend(entry for entry in entries if entry not in sys.path)


def import_modules(names: Sequence[str]) -> None:
    """Imports modules whose classes register themselves with Keras.

    Raises:
        CannotLoad: A module cannot be imported.
    """
    for name in names:
        _import(name, f"--custom-objects {name}")


def objects_of(names: Sequence[str]) -> dict[str, Any]:
    """The classes and functions that imported modules define, by name; Keras itself finds registered ones."""
    return {
        key: value
        for name in names
        for key, value in vars(importlib.import_module(name)).items()
        if callable(value) and getattr(value, "__module__", None) == name
    }


def _import(name: str, requested_as: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise CannotLoad(
            f"{requested_as}: the module cannot be imported: {error_text(error)}; it is looked for in the working"
            " directory and where PYTHONPATH says"
        ) from error


@dataclass(frozen=True, slots=True)
class ModelFunction:
    """A function `package.module:function` that returns a built model."""

    module: str
    name: str

    @classmethod
    def parse(cls, argument: str) -> "ModelFunction | None":
        """The function that an argument names; None where it is a path."""
        match = _FUNCTION.fullmatch(argument)
        return None if match is None or Path(argument).exists() else cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    def call(self, *, trust_code: bool) -> Any:
        """The model that the function returns.

        Raises:
            Refused: Code is not allowed.
            CannotLoad: There is no such function, it fails, or it does not return a Keras model.
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
