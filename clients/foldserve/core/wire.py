"""Protobuf's wire format by hand, where the library would copy an array three times.

A message is the concatenation of its fields, so the library writes what is small and arrays are put behind it. A test
holds the bytes against the library's reading of them.
"""

from typing import Any, TypeAlias

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.protos import PredictRequest, TensorProto
from foldserve_contract.signature import Array, Arrays

Piece: TypeAlias = bytes | memoryview


def _tag(message: Any, field: str) -> bytes:
    return varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)  # 2: a length and so many bytes


def varint(value: int) -> bytes:
    """A number, seven bits a byte, the lowest first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


_INPUTS = _tag(PredictRequest, "inputs")
_CONTENT = _tag(TensorProto, "tensor_content")
_KEY, _VALUE = b"\x0a", b"\x12"  # the two fields of every map's entry


def with_inputs(request: Any, inputs: Arrays) -> bytes:
    """A serialized PredictRequest with inputs; each array is copied once.

    Raises:
        TensorError: An array's dtype has no place on the wire.
    """
    pieces: list[Piece] = [request.SerializeToString()]
    for name, array in inputs.items():
        entry = [*_field(_KEY, [name.encode()]), *_field(_VALUE, _tensor(array))]
        pieces += _field(_INPUTS, entry)
    return b"".join(pieces)


def _tensor(array: Array) -> list[Piece]:
    dtype = dtype_named(array.dtype.name)
    proto = TensorProto(dtype=dtype.enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return [proto.SerializeToString(), *_field(_CONTENT, [np.ascontiguousarray(array, dtype.numpy).data])]


def _field(tag: bytes, pieces: list[Piece]) -> list[Piece]:
    size = sum(piece.nbytes if isinstance(piece, memoryview) else len(piece) for piece in pieces)
    return [tag + varint(size), *pieces]
