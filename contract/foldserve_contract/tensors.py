"""Conversion of numpy arrays to TensorFlow's TensorProto and back."""

import math
from typing import Any, TypeAlias

import numpy as np

from .dtypes import DType, dtype_named, dtype_numbered
from .errors import TensorError
from .protos import TensorProto
from .signature import Array

Piece: TypeAlias = bytes | memoryview
MAX_DIMENSIONS = 254  # TensorFlow's own limit
DEFAULT_MAX_BYTES = 1 << 30


def encode(array: Array) -> Any:
    """Encodes an array as a TensorProto, in `tensor_content`.

    Raises:
        TensorError: The dtype is not supported.
    """
    proto = TensorProto()
    encode_into(proto, array)
    return proto


def encode_into(proto: Any, array: Array) -> None:
    """Encodes an array into an existing TensorProto; `wire.write` makes whole messages with fewer copies."""
    dtype = dtype_named(array.dtype.name)
    proto.dtype = dtype.enum
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    proto.tensor_content = np.ascontiguousarray(array, dtype.numpy).tobytes()


def decode(proto: Any, max_bytes: int = DEFAULT_MAX_BYTES, content: Piece | None = None) -> Array:
    """Decodes the array of a TensorProto, in `tensor_content` or in the typed field of its dtype.

    Typed fields are read as TensorFlow reads them: one shorter than the shape repeats its last value, an empty one
    means zeros, and of a field wider than the dtype the lowest bits count. `max_bytes` bounds the decoded array, so
    that a message of a few bytes cannot allocate gigabytes.

    Args:
        proto: The TensorProto.
        max_bytes: Most bytes of the array.
        content: The `tensor_content`, if the message was parsed without it.

    Returns:
        An array that must not be written to: it may share the message's memory.

    Raises:
        TensorError: The dtype is not supported, the shape is not fully known or too large, or the contents do not
            fill it.
    """
    dtype = dtype_numbered(proto.dtype)
    shape = _shape(proto)
    size = math.prod(shape) * dtype.numpy.itemsize
    if size > max_bytes:
        raise TensorError(f"a tensor of shape {list(shape)} takes {size:,} bytes; at most {max_bytes:,} are allowed")
    if content is None:
        content = proto.tensor_content
    if content:
        return _decode_content(content, dtype, shape)
    return _decode_field(getattr(proto, dtype.field), dtype, shape)


def _shape(proto: Any) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape) or len(shape) > MAX_DIMENSIONS:
        raise TensorError(f"a tensor's shape must be fully known, received {list(shape[:MAX_DIMENSIONS])}")
    return shape


def _decode_content(content: Piece, dtype: DType, shape: tuple[int, ...]) -> Array:
    expected = math.prod(shape) * dtype.numpy.itemsize
    if len(content) != expected:
        raise TensorError(
            f"tensor_content of shape {list(shape)} and dtype {dtype.name} must hold {expected:,} bytes,"
            f" received {len(content):,}"
        )
    array = np.frombuffer(content, dtype.numpy).reshape(shape)
    if dtype.name == "bool" and array.view(np.uint8).max(initial=0) > 1:
        raise TensorError("tensor_content of dtype bool must hold zeros and ones only")
    return array


def _decode_field(values: Any, dtype: DType, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    if len(values) > count:
        raise TensorError(f"{dtype.field} of shape {list(shape)} must hold {count:,} values, received {len(values):,}")
    flat = _from_values(values, dtype)
    if flat.size < count:
        last = flat[-1] if flat.size else flat.dtype.type(0)
        flat = np.concatenate([flat, np.full(count - flat.size, last, flat.dtype)])
    return flat.reshape(shape)


def _from_values(values: Any, dtype: DType) -> Array:
    # In the field's own type: `int_val` has 32 bits for uint8 too. The lowest bits are the value, as in TensorFlow;
    # perf_analyzer does not clear the others. Without a dtype, numpy makes float64 of numbers on both sides of 2^63.
    wide = np.array(values, np.uint64 if dtype.name == "uint64" else None)
    if dtype.name == "float16":  # half_val holds the bits
        return wide.astype(np.uint16).view(dtype.numpy)
    return wide.astype(dtype.numpy)
