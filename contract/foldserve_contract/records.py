"""Frozen dataclasses to JSON and back, strictly: no missing, unknown or mistyped field passes."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


class RecordError(ValueError):
    """JSON that does not have the fields and types of the dataclass it stands for."""


def to_json(value: Any) -> Any:
    """A dataclass (of dataclasses, tuples, mappings, enums, numbers, strings, None) as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[T], value: Any, where: str = "") -> T:
    """The dataclass `kind` that plain JSON values stand for.

    Raises:
        RecordError: A field is missing, unknown, or of another type; the message names its place.
    """
    return typing.cast(T, _parse(kind, value, where or kind.__name__))


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _parse(arguments[0], value, where)
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(_parse(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    if origin is Mapping:
        entries = _expect(dict, value, where)
        return {key: _parse(arguments[1], item, f"{where}.{key}") for key, item in entries.items()}
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(typing.cast(type, kind), value, where)
    return _parse_scalar(kind, value, where)


def _parse_dataclass(kind: type, value: Any, where: str) -> Any:
    entries = _expect(dict, value, where)
    hints = typing.get_type_hints(kind)
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
    if type(value) is not kind:  # not isinstance: a bool is no int here
        raise RecordError(f"{where}: expected {kind.__name__}, received {value!r:.80}")
    return value
