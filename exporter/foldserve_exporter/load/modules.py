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


def import_modules(entries: Sequence[str]) -> None:
    """Imports modules whose classes register themselves with Keras, and those of `NAME=package.module:object`.

    Raises:
        CannotLoad: A module cannot be imported, or has no such object.
    """
    for entry in entries:
        custom = CustomObject.parse(entry)
        module = _import(custom.module if custom else entry, f"--custom-objects {entry}")
        if custom is not None:
            custom.find(module)


def objects_of(entries: Sequence[str]) -> dict[str, Any]:
    """The classes and functions that names in a file of Keras 3 stand for; Keras itself finds registered ones."""
    pairs = (*defined_objects(entries), *given_objects(entries))
    return {name: value for name, value in pairs if class_of(value) != "tf_keras"}


def defined_objects(entries: Sequence[str]) -> list[tuple[str, Any]]:
    """The classes and functions that imported modules define, by name."""
    return [pair for entry in entries if CustomObject.parse(entry) is None for pair in _defined_in(entry)]


def given_objects(entries: Sequence[str]) -> list[tuple[str, Any]]:
    """The objects of `NAME=package.module:object`. A name may be given a class of tf-keras and one of Keras 3."""
    given = [custom for custom in map(CustomObject.parse, entries) if custom is not None]
    return [(custom.name, custom.find(importlib.import_module(custom.module))) for custom in given]


def class_of(value: Any) -> str:
    """The library that a layer class belongs to, `keras` or `tf_keras`; empty for functions and for all else."""
    packages = [base.__module__.split(".")[0] for base in value.__mro__] if isinstance(value, type) else []
    return next((name for name in packages if name in ("keras", "tf_keras")), "")


def _defined_in(module: str) -> list[tuple[str, Any]]:
    items = vars(importlib.import_module(module)).items()
    return [(key, value) for key, value in items if callable(value) and getattr(value, "__module__", None) == module]


def _import(name: str, requested_as: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise CannotLoad(
            f"{requested_as}: the module cannot be imported: {error_text(error)}; it is looked for in the working"
            " directory and where PYTHONPATH says"
        ) from error


@dataclass(frozen=True, slots=True)
class CustomObject:
    """An object `package.module:object` and the name that files have for it."""

    name: str
    module: str
    attribute: str

    @classmethod
    def parse(cls, entry: str) -> "CustomObject | None":
        """The object of `NAME=package.module:object`; None where the entry names a module.

        Raises:
            CannotLoad: It is neither.
        """
        name, equals, path = entry.rpartition("=")
        match = _FUNCTION.fullmatch(path)
        if equals and name and match is not None:
            return cls(name, match[1], match[2])
        if equals or ":" in entry:
            raise CannotLoad(f"--custom-objects {entry}: give a MODULE, or NAME=package.module:object")
        return None

    def find(self, module: ModuleType) -> Any:
        """The object in its module.

        Raises:
            CannotLoad: The module has no such object.
        """
        value = getattr(module, self.attribute, None)
        if not callable(value):
            raise CannotLoad(
                f"--custom-objects {self.name}={self.module}:{self.attribute}: the module {self.module} has no class or"
                f" function {self.attribute!r}"
            )
        return value


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
