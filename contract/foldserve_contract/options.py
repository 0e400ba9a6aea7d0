"""Options declared once: a field of a record that a command's flag sets.

The field holds name, type and default, its metadata the flag's help. The command reads both, and hands the record on as
a whole: a further option touches the record, the place that reads it, and the docs.
"""

import dataclasses
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

_FLAG = "flag"


@dataclasses.dataclass(frozen=True, slots=True)
class DeclaredFlag:
    """A flag of a command, declared with the field that it sets.

    Attributes:
        name: The flag without its dashes.
        help: One line for `--help`.
        parse: The name of the command's converter from text; empty for text, and for a switch.
        choices: The only values; empty for any.
        metavar: The placeholder in `--help`; None for the converter's.
        group: The group of flags in `--help`; empty for the record's own.
        repeatable: True if the flag may be given several times, each adding a value.
        default: The field's default.
    """

    name: str
    help: str
    parse: str = ""
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    group: str = ""
    repeatable: bool = False
    default: Any = None

    @property
    def dest(self) -> str:
        """The attribute under which argparse stores the value."""
        return self.name.replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """True if the flag is a switch, without a value."""
        return isinstance(self.default, bool)


def option(
    default: Any,
    help: str,
    *,
    name: str = "",
    parse: str = "",
    choices: tuple[str, ...] = (),
    metavar: str | None = None,
    group: str = "",
    repeatable: bool = False,
) -> Any:
    """Declares a field that a flag sets; the flag is named like the field unless `name` is given."""
    flag = DeclaredFlag(name, help, parse, choices, metavar, group, repeatable, default)
    return dataclasses.field(default=default, metadata={_FLAG: flag})


def flags_of(record: type) -> Mapping[str, DeclaredFlag]:
    """The flag of every field of a record that has one, by the field's name, in their order."""
    fields = {field.name: field.metadata[_FLAG] for field in dataclasses.fields(record) if _FLAG in field.metadata}
    return {name: dataclasses.replace(flag, name=flag.name or name) for name, flag in fields.items()}


def values_of(record: type, arguments: Namespace) -> dict[str, Any]:
    """The parsed value of every field of a record that a flag sets, by the field's name."""
    values = {name: getattr(arguments, flag.dest) for name, flag in flags_of(record).items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
