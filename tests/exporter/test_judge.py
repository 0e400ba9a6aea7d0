"""The judge passes what is right and names what is not."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from foldserve_contract.signature import Arrays, Signature, TensorSpec
from foldserve_exporter.samples.rows import choose_rows
from foldserve_exporter.verify.batches import VerificationBatch, plan_batches, plan_core_batches, run_batches
from foldserve_exporter.verify.judge import judge
from foldserve_exporter.verify.reference import Reference
from foldserve_exporter.verify.verdict import CandidateVerdict, Verification

SIGNATURE = Signature(
    (TensorSpec("x", "float32", (-1, 6)),),
    (TensorSpec("scores", "float32", (-1, 4)), TensorSpec("top", "int64", (-1,))),
)
GENERATOR = np.random.default_rng(5)
WEIGHTS = GENERATOR.standard_normal((6, 4))
ROWS = choose_rows({"x": GENERATOR.standard_normal((50, 6)).astype(np.float32)}, 8, seed=1)
BATCHES = plan_batches(ROWS)


def exact(inputs: Arrays, dtype: type = np.float64) -> dict[str, np.ndarray]:
    scores = inputs["x"].astype(np.float64) @ WEIGHTS
    return {"scores": scores.astype(dtype), "top": scores.argmax(axis=1)}


def good(inputs: Arrays) -> dict[str, np.ndarray]:
    return exact(inputs, np.float32)


REFERENCE = Reference(
    exact(ROWS.judged_inputs),
    {"scores": 1e-7, "top": 0.0},
    {"scores": float(np.abs(exact(ROWS.judged_inputs)["scores"]).max()), "top": 3.0},
    frozenset({"scores"}),
)


def judged(run: Callable[[Arrays], Arrays]) -> CandidateVerdict:
    return judge("candidate", run_batches(run, ROWS, BATCHES), BATCHES, REFERENCE, SIGNATURE)


def change(name: str, how: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda inputs: {**good(inputs), name: how(good(inputs)[name])}


def batch_statistics(inputs: Arrays) -> Arrays:
    answers = good(inputs)
    return {**answers, "scores": answers["scores"] - 1e-3 * answers["scores"].mean(axis=0)}


def only_when(rows: int) -> Callable[[Arrays], Arrays]:
    return lambda inputs: change("scores", lambda y: y * 1.01)(inputs) if len(inputs["x"]) == rows else good(inputs)


def test_what_is_right_passes_and_says_how_exactly() -> None:
    verdict = judged(good)
    assert verdict.passed
    assert 0 < verdict.outputs["scores"].deviation < verdict.outputs["scores"].limit
    assert Verification((verdict,), ROWS.judged).passed


def test_every_row_is_judged_alone_and_among_near_copies_and_outliers() -> None:
    kinds = {kind: {row for b in BATCHES if b.kind == kind for row in b.rows} for kind in ("alone", "mixed")}
    assert all(set(range(ROWS.judged)) <= rows for rows in kinds.values())
    assert_has_all_sizes_and_strangers(BATCHES)


def test_what_is_not_served_is_run_on_the_first_of_these_batches_with_32_judged_rows_and_all_stretched_ones() -> None:
    brief = plan_core_batches(ROWS)
    assert brief == BATCHES[: len(brief)]
    judged = [row for batch in brief for row in batch.rows if row < ROWS.judged]
    assert len(judged) >= 32
    assert set(np.flatnonzero(ROWS.is_stretched)) <= set(judged)
    assert_has_all_sizes_and_strangers(brief)


def assert_has_all_sizes_and_strangers(batches: tuple[VerificationBatch, ...]) -> None:
    assert {len(batch.rows) for batch in batches} >= {1, 3, 32}
    for batch in batches:
        if batch.kind == "mixed":
            assert any(ROWS.judged <= row < 2 * ROWS.judged for row in batch.rows)
            assert max(batch.rows) >= 2 * ROWS.judged


SPOILED: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "a weight": (change("scores", lambda y: y + np.array([1e-3, 0, 0, 0], "f")), "'scores' deviates"),
    "a scale": (change("scores", lambda y: y * np.float32(1.0001)), "'scores' deviates"),
    "one row": (change("scores", lambda y: y + (np.arange(len(y)) == 2)[:, None].astype("f")), "'scores' deviates"),
    "NaN": (change("scores", lambda y: y * np.float32("nan")), "deviates by nan"),
    "infinity": (change("scores", lambda y: y + np.float32("inf")), "deviates by inf"),
    "swapped classes": (change("scores", lambda y: y[:, ::-1]), "'scores' deviates"),
    "an integer": (change("top", lambda y: (y + 1) % 4), "'top' deviates"),
    "batch statistics": (batch_statistics, "'scores' deviates"),
    "only alone": (only_when(1), r"for sample \d+ alone;"),
    "only in threes": (only_when(3), r"for sample \d+ in a batch of three;"),
    "only when full": (only_when(32), "deviates"),
    "a missing output": (lambda inputs: {"scores": good(inputs)["scores"]}, "'top' is missing"),
    "a dtype": (change("scores", lambda y: y.astype(np.float64)), "float64"),
    "a rank": (change("scores", lambda y: y[:, :, None]), "'scores' is float32"),
    "too few rows": (change("scores", lambda y: y[:-1]), "rows"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED, ids=str)
def test_what_is_spoiled_is_refused(spoil: str) -> None:
    run, words = SPOILED[spoil]
    verdict = judged(run)
    assert not verdict.passed
    assert any(re.search(words, failure) for failure in verdict.failures), verdict.failures


def test_nan_stays_the_worst_whatever_comes_after() -> None:
    calls = iter(range(1000))
    verdict = judged(
        lambda inputs: change("scores", lambda y: y * np.float32("nan"))(inputs) if next(calls) == 0 else good(inputs)
    )
    assert np.isnan(verdict.outputs["scores"].deviation)
    assert not verdict.passed


def test_composition_shows_what_neighbours_do() -> None:
    assert judged(good).outputs["scores"].composition == 0
    assert judged(batch_statistics).outputs["scores"].composition > 1e-4


def test_a_reload_must_have_the_same_bits() -> None:
    answers = run_batches(good, ROWS, BATCHES)
    nudged = run_batches(change("scores", lambda y: np.nextafter(y, np.float32(9))), ROWS, BATCHES)
    same = judge("reload", answers, BATCHES, REFERENCE, SIGNATURE, exact_as=answers)
    other = judge("reload", nudged, BATCHES, REFERENCE, SIGNATURE, exact_as=answers)
    assert (same.exact, same.passed) == (True, True)
    assert (other.exact, other.passed) == (False, False)


def test_no_candidate_is_no_proof() -> None:
    assert not Verification((), 32).passed
