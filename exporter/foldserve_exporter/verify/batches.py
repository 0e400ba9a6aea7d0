"""The batches that candidates are asked: together with near copies and outliers, three of a kind, and alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..samples.rows import VerificationRows

THREE = 3
FULL = 32
STRANGERS = 2  # near copies, and as many outliers, in every full batch


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions in the verification rows, in the order in which they stand in the batch."""

    kind: str
    rows: tuple[int, ...]


def plan_batches(rows: VerificationRows) -> tuple[Batch, ...]:
    """What an artifact that is served is asked: as `plan_once`, and every judged row alone."""
    return (*plan_once(rows), *(Batch("alone", (row,)) for row in range(1, rows.judged)))


def plan_once(rows: VerificationRows) -> tuple[Batch, ...]:
    """Every judged row among near copies and outliers in batches of up to 32; three of them together, and one alone.

    It is asked of candidates that are compared with the served ones, and differ from them in the learning phase, the
    reload or the optimisation alone: a statistic taken over a batch shows in any batch.
    """
    judged, own = range(rows.judged), FULL - 2 * STRANGERS
    return (
        Batch("alone", (0,)),
        Batch("three", tuple(judged[:THREE])),
        *(_mixed(judged[start : start + own], rows.judged) for start in range(0, rows.judged, own)),
    )


def _mixed(chunk: range, judged: int) -> Batch:
    near = [judged + row for row in chunk[:STRANGERS]]
    outliers = [2 * judged + row for row in chunk[-STRANGERS:]]
    return Batch("mixed", (*outliers, *chunk, *near))


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
