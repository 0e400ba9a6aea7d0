"""Batches of the verification: single rows, three rows, and full batches with near copies and outliers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..samples.rows import VerificationRows

THREE = 3
FULL = 32
EXTRA_ROWS = 2  # near copies, and as many outliers, in every full batch
_OWN = FULL - 2 * EXTRA_ROWS
BATCH_WORDS = {
    "alone": "alone",
    "three": "in a batch of three",
    "mixed": "in a batch among near copies and outliers",
    "": "in no batch",
}


@dataclass(frozen=True, slots=True)
class VerificationBatch:
    """A batch of the verification.

    Attributes:
        kind: `alone`, `three` or `mixed`.
        rows: Positions in the verification rows, in the order of the batch.
    """

    kind: str
    rows: tuple[int, ...]


def plan_batches(rows: VerificationRows) -> tuple[VerificationBatch, ...]:
    """All batches, for an artifact that is served: every judged row alone, and among near copies and outliers."""
    alone = (VerificationBatch("alone", (row,)) for row in range(1, rows.judged))
    return (*plan_core_batches(rows), *_mixed(rows)[1:], *alone)


def plan_core_batches(rows: VerificationRows) -> tuple[VerificationBatch, ...]:
    """The first three of these batches: one row, three rows, and 32 with the stretched rows, near copies and outliers.

    They are for candidates that differ from the served ones only in the learning phase, the reload or the optimisation
    and must equal them bit for bit where the runtime is the same: statistics taken over a batch show in any of them.
    """
    return (VerificationBatch("alone", (0,)), VerificationBatch("three", tuple(range(THREE))), _mixed(rows)[0])


def _mixed(rows: VerificationRows) -> list[VerificationBatch]:
    """Batches of up to 32 that cover all judged rows, each with near copies of some of its rows, and outliers."""
    judged = [int(row) for row in np.argsort(~rows.is_stretched, kind="stable")]
    chunks = [judged[start : start + _OWN] for start in range(0, rows.judged, _OWN)]
    return [VerificationBatch("mixed", (*_outliers(rows, chunk), *chunk, *_near(rows, chunk))) for chunk in chunks]


def _near(rows: VerificationRows, chunk: list[int]) -> list[int]:
    return [rows.judged + row for row in chunk[:EXTRA_ROWS]]


def _outliers(rows: VerificationRows, chunk: list[int]) -> list[int]:
    return [2 * rows.judged + row for row in chunk[-EXTRA_ROWS:]]


@dataclass(frozen=True, slots=True, eq=False)
class CandidateOutputs:
    """The outputs of a candidate by name, for every batch of the plan."""

    outputs: tuple[Arrays, ...]


def run_batches(
    run: Callable[[Arrays], Arrays], rows: VerificationRows, batches: tuple[VerificationBatch, ...]
) -> CandidateOutputs:
    """Runs a candidate on every batch."""
    return CandidateOutputs(tuple(run(_take(rows.inputs, batch)) for batch in batches))


def _take(inputs: Arrays, batch: VerificationBatch) -> dict[str, Array]:
    index = np.array(batch.rows)
    return {name: array[index] for name, array in inputs.items()}
