"""Safety check: the code that a model file would import or run, by its configuration, before anything is loaded."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from ..errors import CannotLoad, Refused

MAX_CONFIG_BYTES = 256 << 20


def read_config(path: Path) -> Any:
    """The `config.json` of a `.keras` file.

    Raises:
        CannotLoad: The file is not a `.keras` archive, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise CannotLoad(f"{path}: its config.json is larger than {MAX_CONFIG_BYTES:,} bytes")
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, RecursionError) as error:
        raise CannotLoad(
            f"{path} is not a Keras model: expected a .keras archive, and reading it failed: {error}"
        ) from error


def refuse_code(config: Any, path: Path, allowed: frozenset[str] = frozenset(), trust_code: bool = False) -> None:
    """Checks that a configuration names only classes and functions of Keras' own, or allowed ones.

    The configuration of ``compile`` is not checked, and never loaded: losses and metrics take no part in inference.

    Args:
        config: The configuration, as it is in the file.
        path: The file, for messages.
        allowed: Names under which custom classes and functions will be found.
        trust_code: True if code in the file may run.

    Raises:
        Refused: A Lambda, or a custom class or function that is not allowed; the message names layer and remedy.
    """
    loaded = {key: value for key, value in config.items() if key != _COMPILED} if isinstance(config, dict) else config
    for layer, entry in _serialized_objects(loaded):
        problem = _problem(entry, allowed, trust_code)
        if problem is not None:
            raise Refused(f"{path}: layer {layer!r} {problem}")


def _problem(entry: dict[str, Any], allowed: frozenset[str], trust_code: bool) -> str | None:
    """The reason to refuse a serialized object, and the remedy; None where it may be loaded."""
    # a lambda that Keras serialized without a class cannot be read even by Keras
    if "class_name" not in entry:
        return (
            "holds a lambda function (its activation, say) that Keras wrote and cannot "
            "read again; give it a function with a name, and its module with --custom-objects MODULE, or export "
            "the model itself from Python: foldserve_exporter.export_model(model, ...)"
        )
    # code in the file
    if _is_lambda(entry):
        if trust_code:
            return None
        return (
            f"{_LAMBDA[entry.get('class_name') == 'Lambda']}, which runs code from the file;"
            " replace it with layers or keras.ops, or pass --trust-code if you made the file"
        )
    # classes and functions of other modules
    if trust_code and _package(entry) in _KERAS_LIBRARIES:
        return None
    name = _foreign_name(entry)
    if not name or name in allowed:
        return None
    kind = f"uses {name}, a function" if entry.get("class_name") == "function" else f"is a {name}, a class"
    return f"{kind} that does not come with Keras; name the module that defines it with --custom-objects MODULE"


_COMPILED = "compile_config"
_LAMBDA = {True: "is a Lambda", False: "holds a lambda function"}


def _is_lambda(entry: dict[str, Any]) -> bool:
    return entry.get("class_name") in ("Lambda", "__lambda__")


def _is_bare_lambda(item: dict[str, Any]) -> bool:
    """True if this is a lambda function that Keras serialized as its code alone, without a class."""
    code = item.get("value")
    return len(item) == 1 and isinstance(code, list) and bool(code) and isinstance(code[0], str)


def _package(entry: dict[str, Any]) -> str:
    return str(entry.get("module")).split(".")[0]


def _foreign_name(entry: dict[str, Any]) -> str | None:
    """The name of a class or function that does not come with Keras; None for one that does."""
    module = _package(entry)
    if entry["class_name"] == "function" and module == "builtins":
        name = str(entry.get("config"))
        return None if any(hasattr(module_of_keras, name) for module_of_keras in _KERAS_FUNCTIONS) else name
    return str(entry["registered_name"]) if entry.get("registered_name") and module not in _KERAS_MODULES else None


def _layer_name(entry: dict[str, Any]) -> str:
    places = (entry.get("config"), entry)
    return next((str(place["name"]) for place in places if isinstance(place, dict) and place.get("name")), "")


_KERAS_MODULES = ("keras", "builtins")
_KERAS_LIBRARIES = ("keras_hub", "keras_cv", "keras_nlp")  # which Keras imports by itself
_KERAS_FUNCTIONS = (  # modules in which Keras looks up a function that it serialized by name alone
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.losses,
    keras.metrics,
    keras.optimizers,
    keras.regularizers,
)


def _serialized_objects(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every serialized object of a configuration, outermost first, with the name of the layer that it belongs to.

    Iterative: the file determines how deep the nesting is.
    """
    stack = [("", value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                name = _layer_name(item) or name or item["class_name"]
                yield name, item
            elif _is_bare_lambda(item):
                yield name, item
            stack.extend((name, value) for value in reversed(item.values()))
        elif isinstance(item, list):
            stack.extend((name, value) for value in reversed(item))
