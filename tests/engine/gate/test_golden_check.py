from collections.abc import Callable

import numpy as np
import pytest

from foldserve_contract.errors import GoldenMismatch
from foldserve_contract.golden import Golden
from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec
from foldserve_engine.errors import RunFailed
from foldserve_engine.gate.golden_check import GoldenVerdict, check_golden

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
INPUTS = {"x": np.arange(10, dtype=np.float32).reshape(5, 2)}
GOLDEN = Golden(INPUTS, {"y": INPUTS["x"] * 2})
PROMISED = 0.01


class Doubling:
    """Doubles, and lets a test spoil the answer."""

    def __init__(self, spoil: Callable[[Array], Array] = lambda answer: answer) -> None:
        self.signature = SIGNATURE
        self.batches: list[int] = []
        self._spoil = spoil

    def run(self, inputs: Arrays) -> dict[str, Array]:
        self.batches.append(len(inputs["x"]))
        return {"y": self._spoil(inputs["x"] * 2)}

    def close(self) -> None:
        """Holds nothing."""


def check(spoil: Callable[[Array], Array] = lambda answer: answer, golden: Golden = GOLDEN) -> GoldenVerdict:
    return check_golden(Doubling(spoil), golden, {"y": PROMISED}, 4)


def at(sample: int, value: float) -> Callable[[Array], Array]:
    """Adds to the first element of the row whose golden answer begins with 4·sample."""

    def spoil(answer: Array) -> Array:
        answer[answer[:, 0] == 4 * sample, 0] += value
        return answer

    return spoil


def test_what_answers_as_verified_passes() -> None:
    verdict = check()
    assert verdict.passed
    assert (verdict.samples, verdict.outputs[0].deviation, verdict.outputs[0].bound) == (5, 0.0, 0.01)
    verdict.require()


def test_every_sample_is_asked_in_batches_and_alone() -> None:
    engine = Doubling()
    check_golden(engine, GOLDEN, {"y": PROMISED}, 4)
    assert engine.batches == [4, 1, 1, 1, 1, 1, 1]


def test_a_deviation_is_told_with_output_sample_and_bound() -> None:
    verdict = check(at(3, 0.5))
    assert not verdict.passed
    assert (verdict.outputs[0].sample, verdict.outputs[0].deviation) == (3, 0.5)
    with pytest.raises(GoldenMismatch, match=r"output 'y', sample 3 in a batch of 4: deviates by 0\.5 .* 0\.01"):
        verdict.require()


def test_a_deviation_within_the_promise_passes_and_is_told() -> None:
    verdict = check(at(2, 0.0078125))
    assert verdict.passed
    assert verdict.outputs[0].deviation == 0.0078125


def test_a_fault_of_single_rows_alone_is_found() -> None:
    verdict = check(lambda answer: answer + (1 if len(answer) == 1 else 0))
    assert not verdict.passed
    assert verdict.outputs[0].batch == 1


def test_a_fault_of_batches_alone_is_found() -> None:
    verdict = check(lambda answer: answer - answer.mean(axis=0, keepdims=True) * (len(answer) > 1))
    assert verdict.outputs[0].batch == 4
    assert not verdict.passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    verdict = check(at(1, value))
    assert not verdict.passed
    assert verdict.outputs[0].sample == 1
    with pytest.raises(GoldenMismatch, match="sample 1"):
        verdict.require()


def test_a_golden_answer_that_is_not_a_number_is_never_met() -> None:
    answers = GOLDEN.outputs["y"].copy()
    answers[2, 0] = np.nan
    assert not check(at(1, np.nan), Golden(INPUTS, {"y": answers})).passed


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda answer: answer.astype(np.float64), "dtype float32, received float64"),
        (lambda answer: answer[:, :1], r"shape \[-1, 2\]"),
        (lambda answer: answer[:1], "not answered with as many"),
        (lambda answer: np.zeros((0, 2), np.float32), "not answered with as many"),
    ],
)
def test_a_wrong_dtype_or_shape_fails_with_words(spoil: Callable[[Array], Array], words: str) -> None:
    verdict = check(spoil)
    assert not verdict.passed
    with pytest.raises(GoldenMismatch, match=words):
        verdict.require()


def test_a_wrong_name_fails_with_words() -> None:
    engine = Doubling()
    engine.run = lambda inputs: {"z": inputs["x"]}  # type: ignore[method-assign]
    verdict = check_golden(engine, GOLDEN, {"y": PROMISED})
    assert "['y']" in str(verdict.problem)


def test_a_dynamic_dimension_of_another_size_fails() -> None:
    engine = Doubling(lambda answer: answer[:, :1])
    engine.signature = Signature(SIGNATURE.inputs, (TensorSpec("y", "float32", (-1, -1)),))
    assert "[2]" in str(check_golden(engine, GOLDEN, {"y": PROMISED}).problem)


def test_an_engine_that_fails_does_not_pass() -> None:
    def fail(answer: Array) -> Array:
        raise RunFailed("no memory")

    with pytest.raises(GoldenMismatch, match="cannot answer the golden samples: no memory"):
        check(fail).require()


def test_integers_are_compared_exactly() -> None:
    engine = Doubling(lambda answer: answer.astype(np.int64) + 1)
    engine.signature = Signature(SIGNATURE.inputs, (TensorSpec("y", "int64", (-1, 2)),))
    golden = Golden(INPUTS, {"y": (INPUTS["x"] * 2).astype(np.int64)})
    verdict = check_golden(engine, golden, {"y": 0.5})
    assert verdict.outputs[0].deviation == 1
    assert not verdict.passed


def test_a_verdict_on_nothing_is_no_pass() -> None:
    with pytest.raises(GoldenMismatch):
        GoldenVerdict(0, ()).require()
