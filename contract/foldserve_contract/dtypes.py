"""Element types that a bundle may use, with their names in numpy, TensorFlow and protobuf."""

from dataclasses import dataclass

import numpy as np

from .errors import TensorError


@dataclass(frozen=True, slots=True)
class DType:
    """An element type.

    Attributes:
        name: Numpy's name.
        enum: TensorFlow's `DataType` number.
        field: The typed field of TensorProto that holds its values.
    """

    name: str
    enum: int
    field: str

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The little-endian numpy dtype; the wire formats are little-endian."""
        return np.dtype(self.name).newbyteorder("<")


DTYPES = (
    DType("float32", 1, "float_val"),
    DType("float64", 2, "double_val"),
    DType("int32", 3, "int_val"),
    DType("uint8", 4, "int_val"),
    DType("int16", 5, "int_val"),
    DType("int8", 6, "int_val"),
    DType("int64", 9, "int64_val"),
    DType("bool", 10, "bool_val"),
    DType("uint16", 17, "int_val"),
    DType("float16", 19, "half_val"),
    DType("uint32", 22, "uint32_val"),
    DType("uint64", 23, "uint64_val"),
)
_BY_NAME = {dtype.name: dtype for dtype in DTYPES}
_BY_ENUM = {dtype.enum: dtype for dtype in DTYPES}


def dtype_named(name: str) -> DType:
    """The element type with numpy's name `name`.

    Raises:
        TensorError: The type is not supported (strings, complex numbers, bfloat16).
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise TensorError(f"dtype {name!r} is not supported; supported are {', '.join(_BY_NAME)}") from None


def dtype_numbered(enum: int) -> DType:
    """The element type with TensorFlow's `DataType` number `enum`.

    Raises:
        TensorError: The type is not supported.
    """
    try:
        return _BY_ENUM[enum]
    except KeyError:
        raise TensorError(f"DataType {enum} is not supported; supported are {', '.join(_BY_NAME)}") from None
