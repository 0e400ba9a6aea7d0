"""Messages that TensorFlow Serving has and its Python package does not carry, declared field by field."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf import wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

STRING, BOOL, INT64 = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BOOL, FieldDescriptorProto.TYPE_INT64
_PACKAGE = "tensorflow.serving"
_REPEATED, _OPTIONAL = FieldDescriptorProto.LABEL_REPEATED, FieldDescriptorProto.LABEL_OPTIONAL
Kind = int | str
"""A scalar type, or the full name of a message."""


Fields = Mapping[str, tuple[int, Kind]]
"""Number and kind by name."""
_NO_PARTS: Mapping[str, Fields] = MappingProxyType({})


def declare(
    name: str, fields: Fields, repeated: frozenset[str] = frozenset(), parts: Mapping[str, Fields] = _NO_PARTS
) -> Any:
    """The class of a message with these fields, and with these messages as parts, by their names."""
    file = FileDescriptorProto(name=f"{name}.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for part, own in {**parts, name: fields}.items():
        _add(file.message_type.add(name=part), own, repeated)
    pool = DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _add(message: Any, fields: Fields, repeated: frozenset[str]) -> None:
    for field, (number, kind) in fields.items():
        label = _REPEATED if field in repeated else _OPTIONAL
        if isinstance(kind, str):
            message.field.add(
                name=field, number=number, label=label, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=f".{kind}"
            )
        else:
            message.field.add(name=field, number=number, label=label, type=kind)
