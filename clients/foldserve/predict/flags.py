"""Options declared once: the metadata of a record's field declares the flag that sets it."""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_FLAG, _VARIABLE = "flag", "variable"


@dataclass(frozen=True, slots=True)
class Flag:
    """Command-line flag of a field.

    Attributes:
        names: The spellings, such as `-o` and `--out`; empty for a positional argument.
        group: The heading that lists it in `--help`; empty for argparse's own heading.
        convert: Converts argparse's value to the field's, once all arguments are read; None leaves it unchanged.
        settings: Further arguments of `add_argument`.
    """

    names: tuple[str, ...]
    group: str
    convert: Callable[[Any], Any] | None
    settings: Mapping[str, Any]


def flag(
    *names: str, help: str, group: str = "", convert: Callable[[Any], Any] | None = None, **settings: Any
) -> Mapping[str, Flag]:
    """Metadata of a field that a flag sets; the flag of a bool takes no value and inverts the default."""
    return {_FLAG: Flag(names, group, convert, {"help": help, **settings})}


def positional(*, help: str, convert: Callable[[Any], Any], **settings: Any) -> Mapping[str, Flag]:
    """Metadata of a field that a positional argument sets."""
    return {_FLAG: Flag((), "", convert, {"help": help, **settings})}


def environment(name: str) -> Mapping[str, str]:
    """Metadata of a field that an environment variable sets; None if it is unset or empty."""
    return {_VARIABLE: name}


def add_flags(parser: argparse.ArgumentParser, kind: type, descriptions: Mapping[str, str]) -> None:
    """Adds the flags of a record, and of the records within it, in the order of their fields.

    Args:
        parser: The parser to extend.
        kind: The record's dataclass; names of fields must not repeat in the records within it.
        descriptions: Sentences to print under the headings of groups, by group.
    """
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for field, flag in _flags(kind):
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group, descriptions.get(flag.group))
        _add(groups[flag.group], field, flag)


def build(kind: type[T], arguments: argparse.Namespace) -> T:
    """Builds the record from the arguments.

    Raises:
        FoldserveError: A `convert` or the record refuses a value.
    """
    return kind(**{field.name: _value(field, arguments) for field in fields(kind)})  # type: ignore[arg-type]


def _flags(kind: Any) -> list[tuple[Field[Any], Flag]]:
    flags: list[tuple[Field[Any], Flag]] = []
    for field in fields(kind):
        if _FLAG in field.metadata:
            flags.append((field, field.metadata[_FLAG]))
        elif is_dataclass(field.type):
            flags += _flags(field.type)
    return flags


def _add(group: argparse._ActionsContainer, field: Field[Any], flag: Flag) -> None:
    if not flag.names:
        group.add_argument(field.name, **flag.settings)
    elif field.default is MISSING:
        group.add_argument(*flag.names, dest=field.name, required=True, **flag.settings)
    elif isinstance(field.default, bool):
        action = "store_false" if field.default else "store_true"
        group.add_argument(*flag.names, dest=field.name, action=action, **flag.settings)
    else:
        # argparse appends to a copy of the default, which a tuple does not allow
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        group.add_argument(*flag.names, dest=field.name, default=default, **flag.settings)


def _value(field: Field[Any], arguments: argparse.Namespace) -> Any:
    if _VARIABLE in field.metadata:
        return os.environ.get(field.metadata[_VARIABLE]) or None
    if _FLAG not in field.metadata:
        return build(field.type, arguments)  # type: ignore[arg-type]  # a record within the record
    convert = field.metadata[_FLAG].convert
    value = getattr(arguments, field.name)
    return convert(value) if convert else value
