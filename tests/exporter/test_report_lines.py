"""Lines of the report about its reference and about near ties."""

from dataclasses import fields
from typing import Any

import pytest

from foldserve_contract.manifest import GoldenInfo
from foldserve_exporter.predictions.change import Change
from foldserve_exporter.report.golden_check import GoldenCheck
from foldserve_exporter.report.record import Report
from foldserve_exporter.report.text_lines import candidate_result, diagnosis_line, phase_note, reference_line
from foldserve_exporter.verify.verdict import CandidateVerdict, OutputComparison


def report(**given: Any) -> Report:
    values: dict[str, Any] = {field.name: given.get(field.name) for field in fields(Report)}
    return Report(**values)


def test_layers_that_compute_in_float32_whatever_the_dtype_are_named_beside_the_reference() -> None:
    assert reference_line(report(narrow=())).endswith("in float64.")
    assert "but for up_1, pool_2, which" in reference_line(report(narrow=("up_1", "pool_2")))


def test_near_ties_are_counted_and_failures_told() -> None:
    def verdict(ties: int, *failures: str) -> CandidateVerdict:
        outputs = {"y": OutputComparison(0.0, 1.0, 0, "alone", 0.0, 0, ties)}
        return CandidateVerdict("onnxruntime, optimised", outputs, failures, None)

    assert candidate_result(verdict(0)) == "passed"
    assert candidate_result(verdict(3)) == "passed; another class for 3 near ties"
    assert candidate_result(verdict(3, "it deviates", "it flips")) == "it deviates; it flips"


APART = {"p": Change(0.9, 0.4, 1.0, 0.2, 0.0)}
ALIKE = {"p": Change(1e-3, 1e-4, 1.0, 0.2, 1.0)}


def examined(samples: int, phases: dict[str, Change]) -> Report:
    return report(findings=(), examined=samples, phases=phases)


@pytest.mark.parametrize(
    ("samples", "words"), [(0, "real samples decide"), (3, "Give --samples"), (40, "on 40 samples")]
)
def test_nothing_found_does_not_stand_alone_above_phases_that_are_apart(samples: int, words: str) -> None:
    apart = examined(samples, APART)
    assert "nothing found, but its learning phases are apart" in diagnosis_line(apart)
    assert words in phase_note(apart)
    alike = examined(samples, ALIKE)
    assert "apart" not in diagnosis_line(alike)
    assert phase_note(alike) == ""


def test_samples_that_are_too_few_are_not_said_to_have_shown_anything() -> None:
    assert diagnosis_line(examined(1, ALIKE)).endswith("(1 sample: too few to look for what needs data)")
    assert diagnosis_line(examined(40, ALIKE)).endswith("(40 samples)")


def golden(synthetic: bool, **noticed: float | None) -> GoldenCheck:
    return GoldenCheck.of(GoldenInfo(40, 8, synthetic, 0), {f"{layer}/kernel": v for layer, v in noticed.items()})


def test_golden_samples_that_notice_everything_say_how_little_is_noticed() -> None:
    check = golden(False, conv=0.002, head=0.031)
    assert check.line() == (
        "40 golden samples, from the given samples: they notice a typical weight that is off by 3.1% in any of 2 layers"
    )
    assert list(check.warning(has_samples=True)) == []


def test_golden_samples_that_are_too_weak_say_so_with_the_layers_and_what_to_give() -> None:
    check = golden(True, stem=31_000.0, conv=None, head=0.05)
    assert check.line().endswith("off by 5% in 1 of 3 layers, and none in the others")
    [warning] = check.warning(has_samples=False)
    assert "too weak to notice a wrong weight in 2 layers (stem, conv)" in warning
    assert "e+0" not in warning
    assert warning.endswith("Give --samples: 32 or more real inputs, of every kind that the model will meet")
    assert "--golden-synthetic" in "".join(check.warning(has_samples=True))
    assert "--golden-synthetic" not in "".join(golden(False, stem=None).warning(has_samples=True))
    assert golden(False, stem=None).line().endswith("too weak to notice a wrong weight in any layer")


def test_a_layer_is_as_sharp_as_its_bluntest_kernel() -> None:
    info = GoldenInfo(4, 0, False, 0)
    assert GoldenCheck.of(info, {"lstm/kernel": 0.1, "lstm/recurrent_kernel": 0.4}).noticed == {"lstm": 0.4}
    assert GoldenCheck.of(info, {"lstm/kernel": None, "lstm/recurrent_kernel": 0.4}).noticed == {"lstm": None}
