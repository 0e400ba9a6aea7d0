"""The batches every candidate is asked: alone, in threes, all together, and among near copies and outliers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..samples.rows import VerificationRows

THREE = 3
FULL = 32
_MIXED = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions in the verification rows, in the order in which they stand in the batch."""

    kind: str
    rows: tuple[int, ...]


def plan_batches(rows: VerificationRows) -> tuple[Batch, ...]:
    """Every judged row alone, in a batch of 32, and in one with near copies of it and with outliers; some in threes."""
    judged = range(rows.judged)
    mixed = [_mixed(chunk, rows.judged) for chunk in _chunks(judged, _MIXED)]
    return (
        *(Batch("alone", (row,)) for row in judged),
        *(Batch("three", chunk) for chunk in _chunks(judged[: 4 * THREE], THREE)),
        *(Batch("full", chunk) for chunk in _chunks(judged, FULL)),
        *mixed,
    )


def _mixed(chunk: tuple[int, ...], judged: int) -> Batch:
    near = [judged + row for row in chunk[::2]]
    outliers = [2 * judged + row for row in chunk[1::2]]
    return Batch("mixed", (*outliers, *chunk, *near))


def _chunks(rows: range, size: int) -> list[tuple[int, ...]]:
    return [tuple(rows[start : start + size]) for start in range(0, len(rows), size)]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a candidate answered: for every batch of the plan, its outputs by name."""

    outputs: tuple[Arrays, ...]


def ask(run: Callable[[Arrays], Arrays], rows: VerificationRows, batches: tuple[Batch, ...]) -> Answers:
    """Runs every batch through a candidate."""
    return Answers(tuple(run(_take(rows.inputs, batch)) for batch in batches))


def _take(inputs: Arrays, batch: Batch) -> dict[str, Array]:
    index = np.array(batch.rows)
    return {name: array[index] for name, array in inputs.items()}
