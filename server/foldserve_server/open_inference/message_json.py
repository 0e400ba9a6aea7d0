"""JSON of the protocol's messages, with numbers as numbers: protobuf's own JSON writes 64-bit ones as strings."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor


def message_dict(message: Any) -> dict[str, Any]:
    """Converts a message to a dictionary of its set fields; as in Triton, numbers, texts and lists also where empty."""
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
        return {key: _scalar(item, entry) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_scalar(item, field) for item in value]
    return _scalar(value, field)


def _scalar(value: Any, field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return message_dict(value)
    if field.enum_type is not None:
        enum_value = field.enum_type.values_by_number.get(value)
        return value if enum_value is None else enum_value.name
    return value
