"""Artifacts spoiled in many ways: whatever changes an answer is refused, and whatever is sound is not.

Each stands before the verifier in fresh processes, as in an export, and, in a bundle whose manifest is sealed anew so
that only numbers can tell, before the gate of a server. Both are held against 256 inputs that neither has seen. What
changes no answer is printed: `pytest -m '' -rP tests/exporter/mutations`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_exporter.verify.worker_pool import VerificationWorker, started_workers

from .bench import NOBODY, Bench, Shown, Spoiled
from .make import sound, spoiled_keras, spoiled_onnx, spoiled_saved_models

Make = Callable[[Bench, Path, int], Iterable[Spoiled]]
NUMERIC, EVERY = "GoldenMismatch", 10_000


def shown(bench: Bench, artifacts: Iterable[Spoiled]) -> list[Shown]:
    spoiled = list(artifacts)
    with started_workers() as workers:
        return bench.show(spoiled, _needed(workers, spoiled))


def _needed(workers: tuple[VerificationWorker, ...], spoiled: list[Spoiled]) -> tuple[VerificationWorker, ...]:
    kinds = {each.kind.worker for each in spoiled}
    return tuple(worker for worker in workers if worker.kind in kinds)


def assert_all_caught(bench: Bench, found: list[Shown]) -> None:
    changed = [each for each in found if bench.changes(each)]
    print("these change no answer:", *(each for each in found if not bench.changes(each)), sep="\n  ")
    assert [str(each) for each in changed if not each.failures] == []
    assert [str(each) for each in changed if each.gate is None] == []


def test_the_right_answers_vary(bench: Bench) -> None:
    assert np.ptp(bench.truth, axis=0).max() > 0.1


def test_the_same_artifacts_written_otherwise_are_refused_by_nobody(bench: Bench, tmp_path: Path) -> None:
    found = shown(bench, sound(bench, tmp_path))
    assert [str(each) for each in found if each.failures or each.gate not in (None, NOBODY)] == []
    assert [str(each) for each in found if bench.changes(each)] == []


def test_every_kind_of_spoiled_artifact_that_changes_an_answer_is_refused(bench: Bench, tmp_path: Path) -> None:
    """A slice of what the slow tests try."""
    makes: dict[str, tuple[Make, int]] = {
        "onnx": (spoiled_onnx, 40),
        "saved model": (spoiled_saved_models, 14),
        "keras": (spoiled_keras, 8),
    }
    spoiled = [each for name, (make, most) in makes.items() for each in make(bench, tmp_path / name, most)]
    found = shown(bench, spoiled)
    assert_all_caught(bench, found)
    assert sum(each.gate == NUMERIC for each in found) >= 40
    assert sum(each.gate == NOBODY for each in found) >= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "tried", "by_numbers"),
    [(spoiled_onnx, 250, 200), (spoiled_saved_models, 280, 180), (spoiled_keras, 200, 150)],
    ids=["onnx", "saved model", "keras"],
)
def test_whatever_changes_an_answer_is_refused(
    bench: Bench, tmp_path: Path, make: Make, tried: int, by_numbers: int
) -> None:
    found = shown(bench, make(bench, tmp_path / "spoiled", EVERY))
    assert_all_caught(bench, found)
    assert len(found) >= tried
    told: dict[str, Callable[[Shown], Any]] = {
        NUMERIC: lambda each: each.gate == NUMERIC,
        NOBODY: lambda each: any("deviates" in said or "same bits" in said for said in each.failures),
    }
    assert max(sum(bool(tells(each)) for each in found) for tells in told.values()) >= by_numbers
