"""Conversion of frozen dataclasses to JSON and back; missing, unknown and mistyped fields are errors."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
TAG = "type"
"""The key that names the dataclass, in a field that may hold one of several."""


class RecordError(ValueError):
    """JSON does not have the fields and types of the dataclass it stands for."""


def to_json(value: Any) -> Any:
    """Converts a dataclass (of dataclasses, tuples, sets, mappings, enums, numbers, strings, paths) to JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        unions = _unions(type(value))
        return {
            field.name: _tagged(getattr(value, field.name))
            if field.name in unions
            else to_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(map(to_json, value))
    return str(value) if isinstance(value, Path) else value


def _tagged(value: Any) -> Any:
    return None if value is None else {TAG: type(value).__name__, **to_json(value)}


@functools.cache
def _unions(kind: type) -> frozenset[str]:
    """Names of the fields that may hold one of several dataclasses."""
    return frozenset(name for name, hint in _hints(kind).items() if len(_members(hint)) > 1)


def _members(hint: Any) -> tuple[Any, ...]:
    """The members of a union but None; empty if the hint is not a union."""
    if typing.get_origin(hint) is not types.UnionType:
        return ()
    return tuple(member for member in typing.get_args(hint) if member is not types.NoneType)


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def from_json(kind: type[T], value: Any, where: str = "") -> T:
    """Converts JSON values to the dataclass `kind`.

    Raises:
        RecordError: A field is missing, unknown, or of another type; the message has its path.
    """
    return typing.cast(T, _parse(kind, value, where or kind.__name__))


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _parse_union(kind, value, where)
    if origin is frozenset:
        items = _expect(list, value, where)
        return frozenset(_parse(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(_parse(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    if origin is Mapping:
        entries = _expect(dict, value, where)
        return {key: _parse(arguments[1], item, f"{where}.{key}") for key, item in entries.items()}
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(typing.cast(type, kind), value, where)
    return _parse_scalar(kind, value, where)


def _parse_union(kind: Any, value: Any, where: str) -> Any:
    """Parses None, a value of the only other type, or the dataclass that the tag names."""
    members = _members(kind)
    if value is None and types.NoneType in typing.get_args(kind):
        return None
    if len(members) == 1:
        return _parse(members[0], value, where)
    entries = _expect(dict, value, where)
    named = {member.__name__: member for member in members}
    if entries.get(TAG) not in named:
        raise RecordError(f"{where}.{TAG}: expected one of {sorted(named)}, received {entries.get(TAG)!r:.80}")
    return _parse(named[entries[TAG]], {key: item for key, item in entries.items() if key != TAG}, where)


def _parse_dataclass(kind: type, value: Any, where: str) -> Any:
    entries = _expect(dict, value, where)
    hints = _hints(kind)
    if entries.keys() != hints.keys():
        missing, unknown = sorted(hints.keys() - entries.keys()), sorted(entries.keys() - hints.keys())
        raise RecordError(f"{where}: missing fields {missing}, unknown fields {unknown}")
    try:
        return kind(**{name: _parse(hint, entries[name], f"{where}.{name}") for name, hint in hints.items()})
    except RecordError:
        raise
    except Exception as error:
        raise RecordError(f"{where}: {error}") from error


def _parse_scalar(kind: type, value: Any, where: str) -> Any:
    if issubclass(kind, Enum):
        return _parse_enum(kind, value, where)
    if issubclass(kind, Path):
        return kind(_expect(str, value, where))
    if kind is float and type(value) is int:
        value = float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f"{where}: expected a finite number, received {value}")
    return _expect(kind, value, where)


def _parse_enum(kind: type[Enum], value: Any, where: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        choices = [member.value for member in kind]
        raise RecordError(f"{where}: expected one of {choices}, received {value!r:.80}") from None


def _expect(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:  # not isinstance: a bool is not an int here
        raise RecordError(f"{where}: expected {kind.__name__}, received {value!r:.80}")
    return value
