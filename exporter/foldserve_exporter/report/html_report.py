"""The report as one self-contained HTML page: the answer, its evidence, and the long tables folded away."""

from collections.abc import Iterable, Iterator
from html import escape

from ..diagnosis.budget import ONE_PASS
from ..diagnosis.html import STYLE, drift_parts, finding_block
from ..html.bars import Bar, Tone, bar_rows
from ..html.page import bullets, cell, folded, framed, page, paragraph, table
from ..verify.batches import BATCH_WORDS
from ..verify.verdict import CandidateVerdict
from .answer import answer_parts
from .golden_plot import golden_parts
from .record import Report
from .shares import limit_share, output_share, share_text
from .text_lines import (
    candidate_result,
    diagnosis_line,
    fold_summary,
    phase_lines,
    phase_note,
    recalibration_lines,
    reference_line,
    size_lines,
    verdict,
)


def render(report: Report) -> str:
    """Renders the whole page, with every name from the model escaped."""
    parts = (
        *answer_parts(report),
        *(paragraph(warning, "warning") for warning in report.warnings),
        *_verification(report),
        *_diagnosis(report),
        *_recalibration(report),
        *_phases(report),
        *_folding(report),
        "<h2>Golden samples</h2>",
        *golden_parts(report.golden_check),
        *_origin(report),
    )
    return page(verdict(report), parts)


def _verification(report: Report) -> Iterator[str]:
    """A bar for each candidate, what failed, and the numbers."""
    candidates = report.verification.candidates
    yield "<h2>Deviation of each artifact, against what is allowed</h2>"
    yield bar_rows("Deviation of each artifact", map(_candidate_bar, candidates))
    yield from _reasons(report)
    rows = (row for candidate in candidates for row in _candidate_rows(candidate))
    heads = ("candidate", "output", "deviation", "limit", "among others", "worst", "verdict")
    how = (
        f"{report.verification.rows} samples, each alone, in threes, all together, and among near copies and outliers."
        f" {reference_line(report)} A full bar is the limit, 8·noise + 16·ε·scale."
    )
    compared = (paragraph(how), *map(paragraph, size_lines(report)), framed(heads, rows), _tolerances(report))
    yield folded("Every output, and how it was compared", compared)


def _reasons(report: Report) -> Iterator[str]:
    """Why candidates failed, each reason once; not where the model itself is at fault, which the diagnosis says."""
    verification = report.verification
    if report.batch_dependence is None:
        reasons: dict[str, list[str]] = {}
        for candidate in verification.candidates:
            for failure in candidate.failures:
                reasons.setdefault(failure, []).append(candidate.name)
        yield from (paragraph(f"{' and '.join(names)}: {failure}.", "bad") for failure, names in reasons.items())
    if verification.explanation:
        yield paragraph(verification.explanation, "warning")


def _candidate_bar(candidate: CandidateVerdict) -> Bar:
    share, mark = limit_share(candidate), "✓" if candidate.passed else "✗"
    tone = Tone.GOOD if candidate.passed else Tone.BAD
    return Bar(candidate.name, share, tone, f"{mark} {share_text(share)}")


def _candidate_rows(candidate: CandidateVerdict) -> Iterable[str]:
    result = f'<td class="{"good" if candidate.passed else "bad"}">{escape(candidate_result(candidate))}</td>'
    if not candidate.outputs:
        yield f"<tr>{cell(candidate.name)}{'<td></td>' * 5}{result}</tr>"
    for name, output in candidate.outputs.items():
        worst = f"sample {output.worst_sample} {BATCH_WORDS[output.worst_batch]}" if output.worst_batch else ""
        values = (candidate.name, name, output.deviation, output.limit, output.composition, worst)
        mark = f"{share_text(output_share(output))} of the limit"
        yield f'<tr title="{escape(mark)}">{"".join(map(cell, values))}{result}</tr>'


def _tolerances(report: Report) -> str:
    return table(
        ("output", "scale", "float32 noise", "limit", "measured", "promised", "predict of the file"),
        [(n, t.scale, t.noise, t.limit, t.measured, t.promised, report.predict.get(n, ""))
         for n, t in report.tolerances.items()],
    )  # fmt: skip


def _diagnosis(report: Report) -> Iterator[str]:
    yield STYLE
    yield "<h2>Diagnosis</h2>"
    yield paragraph(diagnosis_line(report))
    yield from map(finding_block, report.findings)
    if report.drifts:
        yield from drift_parts(report.drifts, ONE_PASS.limit(report.examined))


def _recalibration(report: Report) -> Iterator[str]:
    lines = recalibration_lines(report)
    if lines:
        yield "<h2>Recalibration</h2>"
        yield bullets(lines)


def _phases(report: Report) -> Iterator[str]:
    yield "<h2>Learning phase</h2>"
    note = phase_note(report)
    yield bullets([*phase_lines(report), *([note] if note else [])])
    if report.baked:
        yield folded(f"{len(report.baked)} calls with a learning phase baked in", (bullets(report.baked),))


def _folding(report: Report) -> Iterator[str]:
    yield "<h2>Folding</h2>"
    yield paragraph(fold_summary(report))
    if report.fold:
        rows = [(entry.bn, entry.call, entry.action, entry.reason) for entry in report.fold]
        yield folded("Where each went, and why", (table(("layer", "call", "action", "reason"), rows),))


def _origin(report: Report) -> Iterator[str]:
    made = (
        table(("tool", "version"), [*report.tools.items(), ("CPU", report.host)]),
        table(("step", "seconds"), report.seconds.items()),
    )
    yield "<h2>Made with</h2>"
    yield folded("Tools, versions and durations", made)
