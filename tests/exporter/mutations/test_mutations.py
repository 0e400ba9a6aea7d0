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

from .bench import NO_GATE, Bench, Shown, Spoiled
from .make import sound, spoiled_keras, spoiled_onnx, spoiled_saved_models

Make = Callable[[Bench, Path, int], Iterable[Spoiled]]
NUMERIC, EVERY = "GoldenMismatch", 10_000


def shown(bench: Bench, artifacts: Iterable[Spoiled]) -> list[Shown]:
    spoiled = list(artifacts)
    with started_workers() as workers:
        return bench.show(spoiled, _needed(workers, spoiled))


def _needed(workers: tuple[VerificationWorker, ...], spoiled: list[Spoiled]) -> tuple[VerificationWorker, ...]:
    kinds = {item.kind.worker for item in spoiled}
    return tuple(worker for worker in workers if worker.kind in kinds)


def assert_all_caught(bench: Bench, results: list[Shown]) -> None:
    changed = [item for item in results if bench.changes(item)]
    print("these change no answer:", *(item for item in results if not bench.changes(item)), sep="\n  ")
    assert [str(item) for item in changed if not item.failures] == []
    assert [str(item) for item in changed if item.gate is None] == []


def test_the_right_answers_vary(bench: Bench) -> None:
    assert np.ptp(bench.truth, axis=0).max() > 0.1


def test_the_same_artifacts_in_another_encoding_are_not_refused(bench: Bench, tmp_path: Path) -> None:
    results = shown(bench, sound(bench, tmp_path))
    assert [str(item) for item in results if item.failures or item.gate not in (None, NO_GATE)] == []
    assert [str(item) for item in results if bench.changes(item)] == []


def test_every_kind_of_spoiled_artifact_that_changes_an_answer_is_refused(bench: Bench, tmp_path: Path) -> None:
    """A slice of what the slow tests try."""
    makes: dict[str, tuple[Make, int]] = {
        "onnx": (spoiled_onnx, 40),
        "saved model": (spoiled_saved_models, 14),
        "keras": (spoiled_keras, 8),
    }
    spoiled = [item for name, (make, most) in makes.items() for item in make(bench, tmp_path / name, most)]
    results = shown(bench, spoiled)
    assert_all_caught(bench, results)
    assert sum(item.gate == NUMERIC for item in results) >= 40
    assert sum(item.gate == NO_GATE for item in results) >= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "tried", "by_numbers"),
    [(spoiled_onnx, 250, 200), (spoiled_saved_models, 280, 180), (spoiled_keras, 200, 150)],
    ids=["onnx", "saved model", "keras"],
)
def test_whatever_changes_an_answer_is_refused(
    bench: Bench, tmp_path: Path, make: Make, tried: int, by_numbers: int
) -> None:
    results = shown(bench, make(bench, tmp_path / "spoiled", EVERY))
    assert_all_caught(bench, results)
    assert len(results) >= tried
    criteria: dict[str, Callable[[Shown], Any]] = {
        NUMERIC: lambda item: item.gate == NUMERIC,
        NO_GATE: lambda item: any("deviates" in failure or "same bits" in failure for failure in item.failures),
    }
    assert max(sum(bool(criterion(item)) for item in results) for criterion in criteria.values()) >= by_numbers
