"""Options declared once: the field of a record carries the flag that sets it."""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_FLAG, _VARIABLE = "flag", "variable"


@dataclass(frozen=True, slots=True)
class Flag:
    """The command line's side of a field.

    Attributes:
        names: Its spellings, such as `-o` and `--out`; empty for a positional argument.
        group: The heading of `--help` that it stands under; empty for argparse's own.
        convert: Makes the field's value of what argparse read, once all arguments are read; None leaves it.
        settings: What else `add_argument` takes.
    """

    names: tuple[str, ...]
    group: str
    convert: Callable[[Any], Any] | None
    settings: Mapping[str, Any]


def flag(
    *names: str, help: str, group: str = "", convert: Callable[[Any], Any] | None = None, **settings: Any
) -> Mapping[str, Flag]:
    """The metadata of a field that is set by a flag; a bool's flag takes no value and turns its default over."""
    return {_FLAG: Flag(names, group, convert, {"help": help, **settings})}


def positional(*, help: str, convert: Callable[[Any], Any], **settings: Any) -> Mapping[str, Flag]:
    """The metadata of a field that is set by a positional argument."""
    return {_FLAG: Flag((), "", convert, {"help": help, **settings})}


def environment(name: str) -> Mapping[str, str]:
    """The metadata of a field that is set by an environment variable; None where it is unset or empty."""
    return {_VARIABLE: name}


def add_flags(parser: argparse.ArgumentParser, kind: type, descriptions: Mapping[str, str]) -> None:
    """Adds the flags of a record, and of the records it is made of, in the order of their fields.

    Args:
        parser: Takes them.
        kind: The record's dataclass. Names of fields must not repeat among its parts.
        descriptions: A sentence under the heading of a group, for groups that have one.
    """
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for field, flag in _flags(kind):
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group, descriptions.get(flag.group))
        _add(groups[flag.group], field, flag)


def build(kind: type[T], arguments: argparse.Namespace) -> T:
    """The record that the arguments stand for.

    Raises:
        FoldserveError: A value makes no sense, as its `convert` or the record itself has it.
    """
    return kind(**{field.name: _value(field, arguments) for field in fields(kind)})  # type: ignore[arg-type]


def _flags(kind: Any) -> list[tuple[Field[Any], Flag]]:
    found: list[tuple[Field[Any], Flag]] = []
    for field in fields(kind):
        if _FLAG in field.metadata:
            found.append((field, field.metadata[_FLAG]))
        elif is_dataclass(field.type):
            found += _flags(field.type)
    return found


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
