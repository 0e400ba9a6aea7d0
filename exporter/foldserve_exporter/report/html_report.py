"""The report as one self-contained HTML page."""

from collections.abc import Iterable
from html import escape

from ..diagnosis.budget import ONE_PASS
from ..diagnosis.html import STYLE, drift_parts, finding_block
from ..html.page import bullets, cell, framed, page, paragraph, table
from ..verify.verdict import CandidateVerdict, OutputComparison
from .record import Report
from .text_lines import (
    candidate_result,
    diagnosis_line,
    fold_summary,
    golden_line,
    phase_lines,
    recalibration_lines,
    reference_line,
    verdict,
)


def render(report: Report) -> str:
    """Renders the whole page, with every name from the model escaped."""
    parts = [
        f'<h1 class="{"good" if report.published else "bad"}">{escape(verdict(report))}</h1>',
        paragraph(f"{report.source.file} (SHA-256 {report.source.sha256[:16]}…), {report.created}"),
        *_diagnosis(report),
        *(f'<p class="warning">{escape(warning)}</p>' for warning in report.warnings),
        *_recalibration(report),
        "<h2>Learning phase</h2>",
        bullets([*phase_lines(report), *report.baked]),
        "<h2>Folding</h2>",
        paragraph(fold_summary(report)),
        table(("layer", "call", "action", "reason"), [(e.bn, e.call, e.action, e.reason) for e in report.fold]),
        "<h2>Verification</h2>",
        paragraph(f"{report.verification.rows} samples, each alone, in threes, all together, and among near copies"
                   f" and outliers. {reference_line(report)} The bar shows deviation / limit."),
        _candidates(report),
        "<h2>Tolerances</h2>",
        table(
            ("output", "scale", "float32 noise", "limit", "measured", "promised", "predict of the file"),
            [(n, t.scale, t.noise, t.limit, t.measured, t.promised, report.predict.get(n, ""))
             for n, t in report.tolerances.items()],
        ),
        "<h2>Golden samples</h2>",
        paragraph(golden_line(report)),
        table(("kernel", "smallest relative change noticed"), [(k, "none" if v is None else v)
                                                                 for k, v in report.sensitivity.items()]),
        "<h2>Made with</h2>",
        table(("tool", "version"), [*report.tools.items(), ("CPU", report.host)]),
        table(("step", "seconds"), report.seconds.items()),
    ]  # fmt: skip
    return page(verdict(report), parts)


def _diagnosis(report: Report) -> Iterable[str]:
    yield STYLE
    yield "<h2>Diagnosis</h2>"
    yield paragraph(diagnosis_line(report))
    yield from map(finding_block, report.findings)
    if report.drifts:
        yield from drift_parts(report.drifts, ONE_PASS.limit(report.examined))


def _recalibration(report: Report) -> list[str]:
    lines = recalibration_lines(report)
    return ["<h2>Recalibration</h2>", bullets(lines)] if lines else []


def _candidates(report: Report) -> str:
    rows = [row for candidate in report.verification.candidates for row in _candidate_rows(candidate)]
    heads = "".join(
        f"<th>{head}</th>" for head in ("candidate", "output", "deviation", "limit", "", "worst", "verdict")
    )
    return framed(f"<tr>{heads}</tr>{''.join(rows)}")


def _candidate_rows(candidate: CandidateVerdict) -> Iterable[str]:
    result = f'<td class="{"good" if candidate.passed else "bad"}">{escape(candidate_result(candidate))}</td>'
    if not candidate.outputs:
        yield f"<tr>{cell(candidate.name)}<td></td><td></td><td></td><td></td><td></td>{result}</tr>"
    for name, output in candidate.outputs.items():
        worst = f"sample {output.worst_sample}, {output.worst_batch}" if output.worst_batch else ""
        cells = "".join(map(cell, (candidate.name, name, output.deviation, output.limit)))
        yield f"<tr>{cells}<td>{_bar(output)}</td>{cell(worst)}{result}</tr>"


def _bar(output: OutputComparison) -> str:
    share = output.deviation / output.limit if output.limit else float(output.deviation > 0)
    bad = not share <= 1
    width = 100 if bad else 100 * share
    return f'<div class="bar"><i class="{"bad" if bad else "good"}" style="width:{width:.0f}%"></i></div>'
