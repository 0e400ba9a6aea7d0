"""The protocol's messages as JSON, with numbers as numbers: protobuf's own JSON writes 64 bits as strings."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor


def plain(message: Any) -> dict[str, Any]:
    """Every field that is there, and every number, text and list also where it is empty, as Triton writes them."""
    return {
        field.name: _value(message, field)
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _value(message: Any, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        entry = kind.fields_by_name["value"]
        return {key: _one(one, entry) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_one(one, field) for one in value]
    return _one(value, field)


def _one(value: Any, field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
