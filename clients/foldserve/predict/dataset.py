"""The data set of a run: all inputs as one sequence of rows."""

import bisect
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.signature import Signature

from .array_source import open_npy, open_npz
from .errors import UsageError
from .image_conversion import Imaging
from .image_source import SUFFIXES, ImageSource, open_folder, open_image
from .input_source import InputSource, ReadRows, RowReader


@dataclass(frozen=True, slots=True)
class Dataset:
    """Sources in sequence; row numbers run through all of them."""

    sources: tuple[InputSource, ...]

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, *error: object) -> None:
        for source in self.sources:
            source.close()

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return sum(sum(source.rows) for source in self.sources)

    @property
    def names(self) -> Iterator[str]:
        """Names of the files, in the order of their rows."""
        return itertools.chain.from_iterable(source.names for source in self.sources)

    @property
    def rows_by_name(self) -> Iterator[int]:
        """The number of rows of each file."""
        return itertools.chain.from_iterable(source.rows for source in self.sources)

    @property
    def ignored(self) -> tuple[Path, ...]:
        """Files in folders that are not images."""
        return tuple(path for source in self.sources if isinstance(source, ImageSource) for path in source.ignored)

    def fingerprint(self) -> str:
        """A digest that changes when a file is added, removed, renamed or written to."""
        digest = hashlib.sha256()
        for source in self.sources:
            for name, path in zip(source.names, source.files, strict=True):
                state = path.stat()
                digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def reader(self, signature: Signature, imaging: Imaging) -> "DatasetReader":
        """Makes a reader of all sources for a model.

        Raises:
            UsageError: The model cannot take one of them.
        """
        starts = [0, *itertools.accumulate(sum(source.rows) for source in self.sources)]
        return DatasetReader(tuple(source.reader(signature, imaging) for source in self.sources), tuple(starts))


@dataclass(frozen=True, slots=True)
class DatasetReader:
    """Reader of rows by their number in the whole data set."""

    readers: tuple[RowReader, ...]
    starts: tuple[int, ...]

    def read(self, start: int, stop: int) -> ReadRows:
        """Reads rows `start` to `stop`; a request never holds rows of two sources."""
        results: list[ReadRows] = []
        while start < stop:
            index = self._index(start)
            offset, end = self.starts[index], min(stop, self.starts[index + 1])
            results.append(self.readers[index].read(start - offset, end - offset, offset))
            start = end
        return ReadRows(
            tuple(request for rows in results for request in rows.requests),
            tuple(failure for rows in results for failure in rows.failures),
        )

    def name_of(self, row: int) -> str:
        """The name of a row, for messages."""
        index = self._index(row)
        return self.readers[index].name_of(row - self.starts[index])

    def _index(self, row: int) -> int:
        return bisect.bisect_right(self.starts, row) - 1


def open_dataset(inputs: Sequence[Path]) -> Dataset:
    """Opens the inputs of the command line as one data set.

    Raises:
        UsageError: An input does not exist, has no rows, or is of a kind that is not supported.
    """
    with ExitStack() as opened:
        sources = tuple(opened.enter_context(closing(_open(path))) for path in inputs)
        dataset = Dataset(sources)
        if not dataset.rows:
            raise UsageError(f"there are no rows in {', '.join(map(str, inputs))}")
        opened.pop_all()  # closed by the data set from here on
    return dataset


def _open(path: Path) -> InputSource:
    suffix = path.suffix.lower()
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise UsageError(f"input {path} does not exist")
    if suffix == ".npy":
        return open_npy(path)
    if suffix == ".npz":
        return open_npz(path)
    if suffix in SUFFIXES:
        return open_image(path)
    raise UsageError(f"input {path}: expected .npy, .npz, an image or a folder of them, received {suffix or 'a file'}")
