"""What a model file would make Python import or run, read from its configuration before anything is loaded."""

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
        CannotLoad: The file is no `.keras` archive, or is damaged.
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
    """Makes sure that nothing but Keras' own classes and functions is asked for, and those that were named.

    How the model was compiled is not looked at, nor ever loaded: losses and metrics take no part in inference.

    Args:
        config: As the file has it.
        path: The file, for messages.
        allowed: Names under which classes and functions of the author's own will be found.
        trust_code: Whether code in the file may run.

    Raises:
        Refused: A Lambda, a class or a function of the author's own; the message names the layer and the way out.
    """
    loaded = {key: value for key, value in config.items() if key != _COMPILED} if isinstance(config, dict) else config
    for layer, entry in _objects(loaded):
        if "class_name" not in entry:
            raise Refused(
                f"{path}: layer {layer!r} holds a lambda function (its activation, say) that Keras wrote and cannot "
                "read again; give it a function with a name, and its module with --custom-objects MODULE, or export "
                "the model itself from Python: foldserve_exporter.export_model(model, ...)"
            )
        if _is_lambda(entry):
            if not trust_code:
                raise Refused(
                    f"{path}: layer {layer!r} {_LAMBDA[entry.get('class_name') == 'Lambda']}, which runs code from the "
                    "file; replace it with layers or keras.ops, or pass --trust-code if you made the file"
                )
        elif trust_code and _package(entry) in _OF_KERAS:
            continue
        elif (named := _foreign_name(entry)) and named not in allowed:
            is_function = entry.get("class_name") == "function"
            kind = f"uses {named}, a function" if is_function else f"is a {named}, a class"
            raise Refused(
                f"{path}: layer {layer!r} {kind} that does not come with Keras;"
                " name the module that defines it with --custom-objects MODULE"
            )


_COMPILED = "compile_config"
_LAMBDA = {True: "is a Lambda", False: "holds a lambda function"}


def _is_lambda(entry: dict[str, Any]) -> bool:
    return entry.get("class_name") in ("Lambda", "__lambda__")


def _is_code(item: dict[str, Any]) -> bool:
    """True if this is a lambda function as Keras writes one that is no object of its own."""
    code = item.get("value")
    return len(item) == 1 and isinstance(code, list) and bool(code) and isinstance(code[0], str)


def _package(entry: dict[str, Any]) -> str:
    return str(entry.get("module")).split(".")[0]


def _foreign_name(entry: dict[str, Any]) -> str | None:
    """The name of a class or function that does not come with Keras."""
    module = _package(entry)
    if entry["class_name"] == "function" and module == "builtins":
        name = str(entry.get("config"))
        return None if any(hasattr(each, name) for each in _BUILT_IN) else name
    return str(entry["registered_name"]) if entry.get("registered_name") and module not in _STOCK else None


def _name(entry: dict[str, Any]) -> str:
    places = (entry.get("config"), entry)
    return next((str(each["name"]) for each in places if isinstance(each, dict) and each.get("name")), "")


_STOCK = ("keras", "builtins")
_OF_KERAS = ("keras_hub", "keras_cv", "keras_nlp")  # which Keras imports by itself
_BUILT_IN = (  # where Keras looks for a function of which it wrote down the name alone
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.losses,
    keras.metrics,
    keras.optimizers,
    keras.regularizers,
)


def _objects(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every serialized object of a configuration, outermost first, with the name of the layer that it belongs to.

    Iterative, as nesting is the file's choice.
    """
    stack = [("", value)]
    while stack:
        name, item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                name = _name(item) or name or item["class_name"]
                yield name, item
            elif _is_code(item):
                yield name, item
            stack.extend((name, each) for each in reversed(item.values()))
        elif isinstance(item, list):
            stack.extend((name, each) for each in reversed(item))
