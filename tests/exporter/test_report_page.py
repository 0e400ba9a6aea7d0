"""The report's page begins with the answer, draws what it rests on, and folds the long tables away."""

import re
from dataclasses import replace

import pytest

from foldserve_contract.manifest import FoldEntry, GoldenInfo, OutputTolerance, Source
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_exporter.diagnosis.drift import LayerDrift
from foldserve_exporter.diagnosis.finding import Finding, FindingKind, Severity
from foldserve_exporter.html.bars import Part, Tone, stacked
from foldserve_exporter.predictions.change import Change
from foldserve_exporter.report.html_report import render
from foldserve_exporter.report.record import Report
from foldserve_exporter.report.shares import share_text
from foldserve_exporter.verify.verdict import CandidateVerdict, OutputComparison, Verification

NEIGHBOURS = Finding(FindingKind.NEIGHBOURS, Severity.ERROR, "std<dev>", "rows mix", None, "Leave it out.")


def candidate(name: str, deviation: float, *failures: str) -> CandidateVerdict:
    outputs = {"scores": OutputComparison(deviation, 1e-5, 3, "mixed", 0.0, 0, 0)}
    return CandidateVerdict(name, outputs, failures, None)


def report(layers: int = 3, *, verification: Verification, findings: tuple[Finding, ...] = ()) -> Report:
    names = [f"block_{index}/bn" for index in range(layers)]
    return Report(
        model="m",
        version=1,
        published=verification.passed,
        created="2026-01-01T00:00:00+00:00",
        source=Source("m.keras", "0" * 64),
        tools={"keras": "3"},
        host="a CPU",
        signature=Signature((TensorSpec("x", "float32", (-1, 3)),), (TensorSpec("scores", "float32", (-1, 2)),)),
        findings=findings,
        drifts=tuple(LayerDrift(name, False, 4, 0.1 * i, 0.1, 0.2, 0.1, None, 0.0) for i, name in enumerate(names)),
        examined=32,
        fold=tuple(
            FoldEntry(name, 0, "left_affine" if i % 3 == 2 else "backward", "why<b>") for i, name in enumerate(names)
        ),
        baked=(),
        phases={"scores": Change(0.2, 0.1, 1.0, 0.5, 0.9)},
        narrow=(),
        predict={},
        tolerances={"scores": OutputTolerance(1.0, 1e-6, 1e-5, 2e-6, 1e-5, None)},
        verification=verification,
        golden=GoldenInfo(40, 8, False, 0),
        sensitivity={f"{name}/kernel": 10.0 ** (i % 4 - 3) for i, name in enumerate(names)},
        labels=None,
        preprocessing=None,
        recalibration=None,
        warnings=("mind <this>",),
        sizes=(),
        seconds={"load": 1.0},
    )


PASSED = Verification((candidate("onnxruntime, optimised", 2e-6), candidate("tensorflow, SavedModel", 8e-6)), 40)
WHY = "output 'scores' deviates by 5"
FAILED = Verification((candidate("folded", 0.5, WHY), candidate("saved", 0.5, WHY), candidate("onnx", 1e-6)), 40)


def visible(page: str) -> str:
    """What is seen before anything is opened."""
    return re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("</head>")[1]))


def test_it_begins_with_the_verdict_and_the_numbers_that_it_rests_on() -> None:
    page = render(report(6, verification=PASSED))
    beginning = text(page)[: text(page).index("Deviation of each artifact")]
    for words in (
        "✓ m/1: verified and published",
        "80% of the largest deviation allowed, at worst: 2 of 2 artifacts",
        "4 of 6",
        "4 into the layer before 2 left as an affine map",
        "the same class for 90% of the samples",
        "100%",
        "nothing found",
    ):
        assert words in beginning
    assert page.index("</header>") < page.index("<svg") < page.index("why&lt;b&gt;")


def test_each_candidate_has_a_bar_as_long_as_its_share_of_what_is_allowed() -> None:
    rows = re.findall(r'<th scope="row">([^<]+)</th><td><div class="bar (\w+)"[^>]*><i style="width:([\d.]+)%">',
                      render(report(verification=PASSED)))  # fmt: skip
    assert rows[:2] == [("onnxruntime, optimised", "good", "20.0"), ("tensorflow, SavedModel", "good", "80.0")]


def test_a_refused_export_says_each_reason_once_with_everything_that_it_is_true_of() -> None:
    page = text(visible(render(report(verification=FAILED))))
    assert "✗ m/1: refused; nothing was published" in page
    assert page.count("deviates by 5") == 1
    assert "folded and saved: output" in page.replace("&#x27;", "'")
    assert "✗ 50,000 times" in page
    assert "✓ 10%" in page


def test_where_the_model_itself_is_at_fault_the_artifacts_are_not_blamed() -> None:
    page = text(visible(render(report(verification=FAILED, findings=(NEIGHBOURS,)))))
    assert "refused: its answers depend on the batch; nothing was published" in page
    assert "deviates by 5" not in page


def test_what_a_second_run_showed_is_said() -> None:
    page = visible(render(report(verification=replace(FAILED, explanation="with oneDNN off it is right"))))
    assert "with oneDNN off it is right" in page


def test_long_tables_are_folded_away_and_the_plot_of_many_layers_shows_those_that_drift_most() -> None:
    page = render(report(121, verification=PASSED))
    seen = visible(page)
    assert len(text(seen)) < len(text(page)) / 4
    assert "why&lt;b&gt;" not in seen
    assert seen.count("<svg") == 1 and page.count("<svg") == 2
    assert "block_120/bn" in seen and "block_1/bn" not in seen
    assert "Where each went, and why" in page


def test_it_has_one_title_names_that_are_escaped_and_nothing_that_is_fetched_or_run() -> None:
    page = render(report(verification=FAILED, findings=(NEIGHBOURS,)))
    assert page.count("<h1>") == 1
    assert "std<dev>" not in page and "why<b>" not in page and "mind <this>" not in page
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    assert [level for level in re.findall(r"<h(\d)", page) if level not in "123"] == []


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (0.0731, "7.3%"), (0.999, "100%"), (1.5, "1.5 times"), (133146.6, "133,147 times")],
)
def test_shares_are_said_in_words(share: float, words: str) -> None:
    assert share_text(share) == words
    assert share_text(float("nan")) == share_text(float("inf")) == "beyond measure"


def test_a_stacked_bar_says_in_words_what_its_colours_show() -> None:
    drawn = stacked([Part(3, "here", Tone.GOOD), Part(0, "nowhere", Tone.BAD), Part(1, "there", Tone.REST)])
    assert "width:75.0%" in drawn and "width:25.0%" in drawn
    assert text("</head>" + drawn).split() == ["3", "here", "1", "there"]
