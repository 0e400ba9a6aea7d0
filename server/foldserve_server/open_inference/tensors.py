"""Tensors in the protocol's form: named element types, little-endian bytes, strings after their lengths."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array

from ..errors import NotOffered
from ..models.query import InputTensor
from .datatypes import BY_NAME, Datatype

SHARED_MEMORY = "shared_memory_region"
Read = Callable[[Datatype, tuple[int, ...]], Array]


def input_tensor(name: str, shape: Iterable[int], read: Read) -> InputTensor:
    """Wraps a tensor, whose element type may be unknown: then reading it fails.

    Args:
        name: The protocol's name of the element type.
        shape: Every dimension.
        read: Gives the values.
    """
    datatype, sizes = BY_NAME.get(name), tuple(shape)
    if datatype is None:
        return InputTensor(name or None, sizes, partial(_unknown, name))
    return InputTensor(datatype.dtype, sizes, partial(read, datatype, sizes))


def _unknown(name: str) -> Array:
    raise TensorError(f"data-type {name!r} is not supported")


def raw_array(content: bytes | memoryview, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    """The array of these little-endian bytes.

    Raises:
        TensorError: The bytes do not fill the shape, or are not booleans where they should be.
    """
    dtype = dtype_named(datatype.dtype).numpy
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise TensorError(
            f"raw contents of shape {list(shape)} must hold {expected:,} bytes, received {len(content):,}"
        )
    if datatype.dtype == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise TensorError("raw contents of data-type BOOL must hold zeros and ones only")
    return np.frombuffer(content, dtype).reshape(shape)


def length_prefixed(rows: list[list[bytes]]) -> Iterator[bytes]:
    """Yields each string after its length in four bytes, as raw contents hold strings."""
    for row in rows:
        for text in row:
            yield len(text).to_bytes(4, "little") + text


def in_shared_memory(name: str) -> NotOffered:
    """The error for a tensor that is to be read from, or written to, shared memory."""
    return NotOffered(f"'{name}' lies in shared memory, which this server does not offer: send it in the request")
