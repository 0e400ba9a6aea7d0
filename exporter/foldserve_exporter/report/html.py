"""The report as one page that needs nothing but itself."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from ..verify.verdict import CandidateVerdict, OutputVerdict
from .record import Report
from .words import fold_summary, golden_line, phase_lines, verdict

_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
.bar { background: var(--line); height: .6rem; min-width: 8rem; } .bar i { display: block; height: 100%; }
.bar i.good { background: var(--good); } .bar i.bad { background: var(--bad); }
.warning { border-left: .25rem solid #bf8700; padding-left: .8rem; }
"""


def render(report: Report) -> str:
    """The whole page. Every name that came from the model is escaped."""
    parts = [
        f'<h1 class="{"good" if report.published else "bad"}">{escape(verdict(report))}</h1>',
        _paragraph(f"{report.source.file} (SHA-256 {report.source.sha256[:16]}…), {report.created}"),
        *(f'<p class="warning">{escape(warning)}</p>' for warning in report.warnings),
        "<h2>Learning phase</h2>",
        _list([*phase_lines(report), *report.baked]),
        "<h2>Folding</h2>",
        _paragraph(fold_summary(report)),
        _table(("layer", "call", "action", "reason"), [(e.bn, e.call, e.action, e.reason) for e in report.fold]),
        "<h2>Verification</h2>",
        _paragraph(f"{report.verification.rows} samples, each alone, in threes, all together, and among near copies"
                   " and outliers; against the unfolded model in float64. The bar shows deviation / limit."),
        _candidates(report),
        "<h2>Tolerances</h2>",
        _table(
            ("output", "scale", "float32 noise", "bound", "measured", "promised", "predict of the file"),
            [(n, t.scale, t.noise, t.bound, t.measured, t.promised, report.predict.get(n, math.nan))
             for n, t in report.tolerances.items()],
        ),
        "<h2>Golden samples</h2>",
        _paragraph(golden_line(report)),
        _table(("kernel", "smallest relative change noticed"), [(k, "none" if v is None else v)
                                                                 for k, v in report.sensitivity.items()]),
        "<h2>Made with</h2>",
        _table(("tool", "version"), [*report.tools.items(), ("CPU", report.host)]),
        _table(("step", "seconds"), report.seconds.items()),
    ]  # fmt: skip
    title = escape(verdict(report))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _candidates(report: Report) -> str:
    rows = [row for candidate in report.verification.candidates for row in _candidate_rows(candidate)]
    heads = "".join(
        f"<th>{head}</th>" for head in ("candidate", "output", "deviation", "limit", "", "worst", "verdict")
    )
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _candidate_rows(candidate: CandidateVerdict) -> Iterable[str]:
    said = "passed" if candidate.passed else "; ".join(candidate.failures)
    mark = f'<td class="{"good" if candidate.passed else "bad"}">{escape(said)}</td>'
    if not candidate.outputs:
        yield f"<tr>{_cell(candidate.name)}<td></td><td></td><td></td><td></td><td></td>{mark}</tr>"
    for name, output in candidate.outputs.items():
        worst = f"sample {output.worst_sample}, {output.worst_batch}" if output.worst_batch else ""
        cells = "".join(map(_cell, (candidate.name, name, output.deviation, output.limit)))
        yield f"<tr>{cells}<td>{_bar(output)}</td>{_cell(worst)}{mark}</tr>"


def _bar(output: OutputVerdict) -> str:
    share = output.deviation / output.limit if output.limit else float(output.deviation > 0)
    bad = not share <= 1
    width = 100 if bad else 100 * share
    return f'<div class="bar"><i class="{"bad" if bad else "good"}" style="width:{width:.0f}%"></i></div>'


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + f"</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.3g}</td>'
    return f"<td>{escape(str(value))}</td>"
