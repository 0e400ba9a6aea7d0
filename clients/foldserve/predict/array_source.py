"""Inputs of arrays, read by rows and never whole."""

import io
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from foldserve_contract.signature import Array, Signature, TensorSpec

from ..core.casting import cast
from ..errors import TensorError
from .errors import UsageError
from .image_conversion import Imaging
from .input_source import ReadRows, RequestRows, RowFailure


class Column(Protocol):
    """An array on disk, read by rows."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, rows first."""

    def __getitem__(self, rows: slice) -> Array:
        """Reads consecutive rows."""


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Source of the rows of an `.npy` or `.npz` file.

    Attributes:
        path: The file.
        columns: Its arrays by name; the array of a `.npy` has the name None.
    """

    path: Path
    columns: Mapping[str | None, Column]

    @property
    def names(self) -> tuple[str]:
        """The path of the file."""
        return (str(self.path),)

    @property
    def rows(self) -> tuple[int]:
        """The number of rows of the file."""
        return (next(iter(self.columns.values())).shape[0],)

    @property
    def files(self) -> tuple[Path]:
        """The path of the file."""
        return (self.path,)

    def close(self) -> None:
        """Closes the members of an archive."""
        for column in self.columns.values():
            if isinstance(column, NpzColumn):
                column.stream.close()

    def reader(self, signature: Signature, imaging: Imaging) -> "ArrayReader":
        """Makes a reader that assigns the arrays to the model's inputs, by name if there are several."""
        specs = {spec.name: spec for spec in signature.inputs}
        if len(specs) == len(self.columns) == 1:
            (name,) = specs
            named: dict[str, Column] = {name: next(iter(self.columns.values()))}
        else:
            named = {name: column for name, column in self.columns.items() if name is not None}
        if named.keys() != specs.keys():
            raise UsageError(
                f"{self.path}: the model takes the inputs {sorted(specs)}, the file holds"
                f" {sorted(named) or 'one array without a name'}; give an .npz with these names"
            )
        for name, column in named.items():
            _check(self.path, specs[name], column)
        return ArrayReader(str(self.path), named, specs)


@dataclass(frozen=True, slots=True)
class ArrayReader:
    """Reader of the rows of an array file."""

    path: str
    columns: Mapping[str, Column]
    specs: Mapping[str, TensorSpec]

    def read(self, start: int, stop: int, offset: int) -> ReadRows:
        """Reads rows, cast as the client casts; a batch that cannot be cast is read row by row to find the cause."""
        try:
            rows = tuple(range(start + offset, stop + offset))
            return ReadRows((RequestRows(rows, self._cast(slice(start, stop))),), ())
        except TensorError as error:
            if stop - start == 1:
                return ReadRows((), (RowFailure(start + offset, self.name_of(start), str(error)),))
        single = [self.read(row, row + 1, offset) for row in range(start, stop)]
        return ReadRows(
            tuple(request for rows in single for request in rows.requests),
            tuple(failure for rows in single for failure in rows.failures),
        )

    def name_of(self, row: int) -> str:
        """The file and the row in the file."""
        return f"{self.path}[{row}]"

    def _cast(self, rows: slice) -> dict[str, Array]:
        return {name: cast(name, column[rows], self.specs[name].dtype) for name, column in self.columns.items()}


@dataclass(frozen=True, slots=True)
class NpyColumn:
    """The array of a `.npy`, read in pieces: mapped pages would count as memory of this process."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int

    def __getitem__(self, rows: slice) -> Array:
        """Reads consecutive rows; opens the file each time."""
        with self.path.open("rb") as stream:
            return _read(stream, self, rows)


@dataclass(frozen=True, slots=True)
class NpzColumn:
    """A member of an `.npz`, compressed or not, read in pieces; never whole in memory."""

    stream: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int

    def __getitem__(self, rows: slice) -> Array:
        """Reads consecutive rows; a read before the last one starts again at the front."""
        return _read(self.stream, self, rows)


def _read(stream: IO[bytes], column: NpyColumn | NpzColumn, rows: slice) -> Array:
    start, stop, _ = rows.indices(column.shape[0])
    row_bytes = int(np.prod(column.shape[1:], dtype=np.int64)) * column.dtype.itemsize
    stream.seek(column.begin + start * row_bytes)
    content = stream.read((stop - start) * row_bytes)
    return np.frombuffer(content, column.dtype).reshape(stop - start, *column.shape[1:])


def open_npy(path: Path) -> ArraySource:
    """Opens a `.npy` file.

    Raises:
        UsageError: The file is not a `.npy`, holds Python objects or has no rows.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # reads the header and the size only
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as .npy: {error}") from None
    column = NpyColumn(path, array.dtype, array.shape, array.offset) if array.flags.c_contiguous else array
    return _source(path, {None: column})


def open_npz(path: Path) -> ArraySource:
    """Opens an `.npz` file.

    Raises:
        UsageError: The file is not an `.npz`, or its arrays differ in their number of rows.
    """
    try:
        with ExitStack() as opened, zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            streams = {name.removesuffix(".npy"): opened.enter_context(archive.open(name)) for name in members}
            source = _source(path, {name: _column(stream) for name, stream in streams.items()})
            opened.pop_all()  # the source closes them from here on
            return source
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read as .npz: {error}") from None


def _column(stream: IO[bytes]) -> NpzColumn:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if fortran and len(shape) > 1:
        raise ValueError("an array is in Fortran order; save np.ascontiguousarray(array) instead")
    if dtype.hasobject:
        raise ValueError("an array holds Python objects; save one of numbers")
    return NpzColumn(stream, dtype, shape, stream.seek(0, io.SEEK_CUR))


def _source(path: Path, columns: Mapping[str | None, Column]) -> ArraySource:
    counts = {name: column.shape[:1] for name, column in columns.items()}
    if not counts:
        raise UsageError(f"{path} holds no arrays")
    if () in counts.values() or len(set(counts.values())) != 1:
        shapes = {name or "array": list(column.shape) for name, column in columns.items()}
        raise UsageError(f"{path}: expected arrays with one row per example and equally many, received shapes {shapes}")
    return ArraySource(path, columns)


def _check(path: Path, spec: TensorSpec, column: Column) -> None:
    if not spec.accepts(column.shape):
        raise UsageError(
            f"{path}: input {spec.name!r} takes the shape {list(spec.shape)} (-1 is free), the file has"
            f" {list(column.shape)}"
        )
    try:
        cast(spec.name, np.empty((0, *column.shape[1:]), column.dtype), spec.dtype)
    except TensorError as error:
        raise UsageError(f"{path}: {error}") from None
