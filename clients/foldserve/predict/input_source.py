"""What inputs of every kind have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foldserve_contract.signature import Array, Signature

from .image_conversion import Imaging


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row that has no prediction.

    Attributes:
        row: Its number in the whole data set.
        input: The file it came from, with the row in it where it has several.
        error: What is wrong with it.
    """

    row: int
    input: str
    error: str


@dataclass(frozen=True, slots=True, eq=False)
class RequestRows:
    """Rows that go into one request.

    Attributes:
        rows: Their numbers in the whole data set, ascending.
        arrays: The model's inputs for them.
    """

    rows: tuple[int, ...]
    arrays: dict[str, Array]


@dataclass(frozen=True, slots=True)
class ReadRows:
    """What was read: each row is in a part or among the failures."""

    requests: tuple[RequestRows, ...]
    failures: tuple[RowFailure, ...]


class RowReader(Protocol):
    """Rows of one input as a model takes them."""

    def read(self, start: int, stop: int, offset: int) -> ReadRows:
        """Rows `start` to `stop` of this input; row numbers are told with `offset` added."""

    def name_of(self, row: int) -> str:
        """A row of this input as the user would name it."""


class InputSource(Protocol):
    """One input of the command line, its rows counted and nothing read.

    Attributes:
        names: The files, as the user would name them.
        rows: How many rows each file has.
        files: The files whose change would make another data set of it.
    """

    @property
    def names(self) -> Sequence[str]:
        """The files, as the user would name them."""

    @property
    def rows(self) -> Sequence[int]:
        """How many rows each of them has."""

    @property
    def files(self) -> Sequence[Path]:
        """Where they are."""

    def close(self) -> None:
        """Lets go of files and threads."""

    def reader(self, signature: Signature, imaging: Imaging) -> RowReader:
        """Prepares for a model.

        Raises:
            UsageError: This input cannot be what the model takes.
        """
