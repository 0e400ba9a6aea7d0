"""What a model file would make Python import or run, read from its configuration before anything is loaded."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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


def refuse_code(config: Any, path: Path, allowed: frozenset[str] = frozenset(), modules: Sequence[str] = ()) -> None:
    """Makes sure that nothing but Keras' own classes is asked for, and those that were named.

    Args:
        config: As the file has it.
        path: The file, for messages.
        allowed: Names under which classes of the author's own are registered with Keras.
        modules: Modules any of whose classes may be made.

    Raises:
        Refused: A Lambda or a class of the author's own; the message names the layer and the flag that allows it.
    """
    for entry in _objects(config):
        name = _layer_name(entry)
        if entry["class_name"] == "Lambda" or entry["class_name"] == "__lambda__":
            raise Refused(
                f"{path}: layer {name!r} is a Lambda, which runs code from the file;"
                " replace it with layers or keras.ops, or pass --trust-code if you made the file"
            )
        module = entry.get("module")
        named = entry.get("registered_name")
        if named and _is_foreign(module) and named not in allowed and module not in modules:
            raise Refused(
                f"{path}: layer {name!r} is a {named}, a class that does not come with Keras;"
                " name the module that defines it with --custom-objects MODULE"
            )


def _is_foreign(module: Any) -> bool:
    return module is None or str(module).split(".")[0] not in ("keras", "builtins")


def _layer_name(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    return str(config.get("name", entry["class_name"]) if isinstance(config, dict) else entry["class_name"])


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every serialized object of a configuration, outermost first; iterative, as nesting is the file's choice."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))
