"""A diagnosis as one page that needs nothing but itself."""

from collections.abc import Iterator, Sequence
from html import escape

from ..report.page import bullets, page, paragraph, table
from .diagnose import Diagnosis
from .drift import LayerDrift, threshold
from .finding import Finding
from .plots import drift_plot
from .words import effect_line, prediction_lines, verdict

STYLE = """<style>
svg.drift { width: 100%; min-width: 46rem; height: auto; }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); }
svg .limit { stroke: var(--bad); }
.finding { border-left: .3rem solid var(--line); padding: .1rem 0 .1rem .9rem; margin: 1.1rem 0; }
.finding p { margin: .25rem 0; } .finding h3 { margin: 0; font-size: 1rem; }
.finding.error { border-color: var(--bad); } .finding.warning { border-color: #bf8700; }
.finding b { font-weight: 600; }
</style>"""


def render_diagnosis(diagnosis: Diagnosis) -> str:
    """The whole page. Every name that came from the model is escaped."""
    return page(verdict(diagnosis), [STYLE, *_parts(diagnosis)])


def _parts(diagnosis: Diagnosis) -> Iterator[str]:
    yield f'<h1 class="{"bad" if diagnosis.findings else "good"}">{escape(verdict(diagnosis))}</h1>'
    for note in diagnosis.notes:
        yield f'<p class="warning">{escape(note)}</p>'
    yield from map(finding_block, diagnosis.findings)
    if diagnosis.phase_1 is not None:
        yield "<h2>Predictions</h2>"
        yield bullets(prediction_lines(diagnosis))
    if diagnosis.drifts:
        yield "<h2>Drift of every BatchNormalization, from input to output</h2>"
        yield from drift_parts(diagnosis.drifts, threshold(diagnosis.samples))


def drift_parts(drifts: Sequence[LayerDrift], limit: float) -> Iterator[str]:
    """How to read it, the plot, and the numbers."""
    yield paragraph(
        "The moving statistics against those of the samples, all layers before being right. A layer is off by 1"
        " where its output is off by as much as it varies; the dashed line is what chance and a healthy training"
        " leave. The last column tells how much of the predictions changes by this layer alone, where that was"
        " measured. ❄ marks layers that are not trainable."
    )
    yield f'<div class="wide">{drift_plot(drifts, limit)}</div>'
    yield table(
        ("layer", "channels", "off by", "shift", "largest shift", "|log variance ratio|", "initial value left"),
        [(d.layer, d.channels, d.drift, d.shift, d.largest_shift, d.log_ratio, _share(d.residue)) for d in drifts],
    )


def _share(residue: float | None) -> str:
    return "" if residue is None else f"{residue:.1%}"


def finding_block(finding: Finding) -> str:
    """What it is, where, what it does to the predictions, and what to do."""
    where = f" in {finding.layer}" if finding.layer else ""
    return (
        f'<div class="finding {finding.severity}"><h3>{escape(finding.severity)}: {escape(finding.kind + where)}</h3>'
        f"<p>{escape(finding.what)}.</p>"
        f"<p><b>Predictions change by</b> {escape(effect_line(finding.effect))}.</p>"
        f"<p><b>Remedy</b> {escape(finding.remedy)}</p></div>"
    )
