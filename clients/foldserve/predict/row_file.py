"""A `.npy` file of fixed size, written and read by rows without holding it in memory."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from foldserve_contract.signature import Array


@dataclass(frozen=True, slots=True)
class RowFile:
    """An open `.npy` file; rows not yet written are zeros.

    Attributes:
        path: The file.
        handle: The open file.
        dtype: The element type.
        shape: The shape, rows first.
        begin: Offset of the first element, in bytes.
    """

    path: Path
    handle: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int

    @property
    def row_bytes(self) -> int:
        """The bytes of one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def write(self, start: int, rows: Array) -> None:
        """Writes consecutive rows from row `start` on."""
        self.handle.seek(self.begin + start * self.row_bytes)
        self.handle.write(np.ascontiguousarray(rows, self.dtype).data)

    def read(self, start: int, stop: int) -> Array:
        """Reads a copy of rows `start` to `stop`."""
        self.handle.seek(self.begin + start * self.row_bytes)
        content = bytearray(self.handle.read((stop - start) * self.row_bytes))
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])

    def sync(self) -> None:
        """Flushes everything written to the disk."""
        self.handle.flush()
        os.fsync(self.handle.fileno())


def create(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> RowFile:
    """Creates a file of zeros in its full length; an existing file is overwritten."""
    header = header_of(dtype, shape)
    handle = path.open("w+b")
    handle.write(header)
    size = len(header) + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    handle.truncate(size)
    return RowFile(path, handle, dtype, shape, len(header))


def reopen(path: Path) -> RowFile:
    """Opens a file that `create` made."""
    handle = path.open("r+b")
    np.lib.format.read_magic(handle)
    shape, _, dtype = np.lib.format.read_array_header_1_0(handle)
    return RowFile(path, handle, dtype, shape, handle.tell())


def header_of(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The bytes of a `.npy` file before its elements."""
    buffer = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()
