"""Serialization of messages with arrays; each array is copied once, into the message."""

from typing import Any

import numpy as np

from ..dtypes import dtype_named
from ..protos import PredictRequest, PredictResponse, TensorProto
from ..signature import Array, Arrays
from ..tensors import Piece


def tag(message: Any, field: str) -> bytes:
    """Tag of a length-delimited field: its number and wire type."""
    return varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def varint(value: int) -> bytes:
    """Varint of a number: seven bits a byte, the lowest first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


INPUTS, OUTPUTS = tag(PredictRequest, "inputs"), tag(PredictResponse, "outputs")
PLAIN = frozenset({"float32", "float64", "bool"})  # their packed typed field has the bytes of the array
CONTENT = tag(TensorProto, "tensor_content")
KEY, VALUE = b"\x0a", b"\x12"  # the two fields of a map's entry


def with_tensors(message: Any, field: bytes, arrays: Arrays, typed: bool = False) -> bytes:
    """Serializes a message with arrays in a map of TensorProtos.

    Args:
        message: The message without the arrays.
        field: Tag of the map, `INPUTS` or `OUTPUTS`.
        arrays: The arrays by name.
        typed: True to write typed fields rather than `tensor_content`.

    Raises:
        TensorError: An array's dtype is not supported.
    """
    pieces: list[Piece] = [message.SerializeToString()]
    for name, array in arrays.items():
        pieces += with_length(field, [*with_length(KEY, [name.encode()]), *with_length(VALUE, tensor(array, typed))])
    return b"".join(pieces)


def tensor(array: Array, typed: bool = False) -> list[Piece]:
    """Serializes an array as a TensorProto, in pieces that share the array's memory.

    Raises:
        TensorError: The dtype is not supported.
    """
    dtype = dtype_named(array.dtype.name)
    proto = TensorProto(dtype=dtype.enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = np.ascontiguousarray(array, dtype.numpy)
    if typed and dtype.name not in PLAIN:
        bits = flat.view(np.uint16) if dtype.name == "float16" else flat  # half_val holds the bits
        getattr(proto, dtype.field).extend(bits.ravel().tolist())
        return [proto.SerializeToString()]
    field = tag(TensorProto, dtype.field) if typed else CONTENT
    return [proto.SerializeToString(), *with_length(field, [flat.data])]


def with_length(tag: bytes, pieces: list[Piece]) -> list[Piece]:
    """Serializes a length-delimited field with these pieces as its content."""
    size = sum([piece.nbytes if isinstance(piece, memoryview) else len(piece) for piece in pieces])
    return [tag + varint(size), *pieces]
