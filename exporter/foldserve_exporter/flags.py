"""Command-line flags, generated from the record that declares them."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foldserve_contract.options import DeclaredFlag, flags_of

_PARSERS: Mapping[str, Callable[[str], Any]] = {"": str, "int": int, "path": Path}


def add_flags(parser: ArgumentParser, record: type) -> None:
    """Adds every flag that a record declares; its default is the field's."""
    for flag in flags_of(record).values():
        parser.add_argument(f"--{flag.name}", help=flag.help, **_arguments(flag))


def _arguments(flag: DeclaredFlag) -> dict[str, Any]:
    if flag.is_switch:
        return {"action": "store_true"}
    arguments: dict[str, Any] = {"type": _PARSERS[flag.parse], "metavar": flag.metavar, "default": flag.default}
    if flag.repeatable:
        arguments |= {"action": "append", "default": []}
    if flag.choices:
        arguments |= {"choices": flag.choices}
    return arguments
