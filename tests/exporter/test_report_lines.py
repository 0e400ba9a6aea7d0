"""Lines of the report about its reference and about near ties."""

from dataclasses import fields
from typing import Any

from foldserve_exporter.report.record import Report
from foldserve_exporter.report.text_lines import candidate_result, reference_line
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
