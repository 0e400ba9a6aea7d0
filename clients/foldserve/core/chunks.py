"""Chunks: arrays split by rows into requests of limited size, and outputs joined again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..errors import ConfigurationError, ProtocolError


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """Size limit of one request: bytes or rows, whichever is reached first, but at least one row.

    Attributes:
        bytes: Most bytes of all inputs together.
        rows: Most rows.
    """

    bytes: int = 4 << 20
    rows: int = 1024

    def __post_init__(self) -> None:
        if self.bytes < 1 or self.rows < 1:
            raise ConfigurationError(f"a chunk holds at least one row and one byte, received {self}")

    def rows_of(self, inputs: Arrays) -> int:
        """The number of rows of these inputs that make a chunk."""
        row_bytes = sum(array.nbytes // max(1, array.shape[0]) for array in inputs.values())
        return int(max(1, min(self.rows, self.bytes // max(1, row_bytes))))


def count_rows(inputs: Arrays) -> int | None:
    """The number of rows, or None if the inputs do not all have the same number of rows."""
    counts = {array.shape[:1] for array in inputs.values()}
    if len(counts) != 1 or () in counts:
        return None
    return int(next(iter(counts))[0])


def split(inputs: Arrays, size: ChunkSize) -> Iterator[dict[str, Array]]:
    """Splits the inputs by rows, in order; inputs without common rows stay whole, for the server to check."""
    rows = count_rows(inputs)
    if not rows:
        yield dict(inputs)
        return
    step = size.rows_of(inputs)
    for start in range(0, rows, step):
        yield {name: array[start : start + step] for name, array in inputs.items()}


def join(parts: Sequence[Arrays]) -> dict[str, Array]:
    """Joins the outputs of all chunks, in arrays that the caller owns.

    Raises:
        ProtocolError: The chunks do not have the same outputs with the same shape of a row.
    """
    first, *others = parts
    if not others:
        return {name: array.astype(array.dtype.newbyteorder("=")) for name, array in first.items()}
    try:
        return {name: np.concatenate([part[name] for part in parts], dtype=first[name].dtype) for name in first}
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"the answers to the chunks of one call do not fit together: {error}") from error
