"""Interface of inputs: sources of rows, and readers that make requests of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foldserve_contract.signature import Array, Signature

from .image_conversion import Imaging


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row without a prediction, and the reason.

    Attributes:
        row: Number of the row in the whole data set.
        input: The file that it came from, with the row in that file if it has several.
        error: The reason.
    """

    row: int
    input: str
    error: str


@dataclass(frozen=True, slots=True, eq=False)
class RequestRows:
    """Rows that go into one request.

    Attributes:
        rows: Numbers of the rows in the whole data set, ascending.
        arrays: The model's inputs for these rows, by name.
    """

    rows: tuple[int, ...]
    arrays: dict[str, Array]


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Result of a read: each row is in a request or among the failures."""

    requests: tuple[RequestRows, ...]
    failures: tuple[RowFailure, ...]


class RowReader(Protocol):
    """Reader of one input's rows in the form that a model takes."""

    def read(self, start: int, stop: int, offset: int) -> ReadRows:
        """Reads rows `start` to `stop` of this input; numbers in the result have `offset` added."""

    def name_of(self, row: int) -> str:
        """The name of a row of this input, for messages."""


class InputSource(Protocol):
    """An input of the command line: rows are counted, and nothing is read yet.

    Attributes:
        names: Names of the files, for messages.
        rows: Number of rows of each file.
        files: Paths of the files, whose changes change the data set.
    """

    @property
    def names(self) -> Sequence[str]:
        """Names of the files, for messages."""

    @property
    def rows(self) -> Sequence[int]:
        """Number of rows of each file."""

    @property
    def files(self) -> Sequence[Path]:
        """Paths of the files."""

    def close(self) -> None:
        """Releases files and threads."""

    def reader(self, signature: Signature, imaging: Imaging) -> RowReader:
        """Makes a reader for a model.

        Raises:
            UsageError: The model cannot take this input.
        """
