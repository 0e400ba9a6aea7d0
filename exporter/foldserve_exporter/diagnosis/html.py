"""The page of a diagnosis, as one file that needs nothing but itself."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from ..html.page import folded, page, paragraph, scrolling, table
from ..predictions.change_text import change_text
from .budget import FULL
from .drift import LayerDrift
from .explanations import EXPLANATIONS
from .finding import Finding, Severity
from .plots import drift_plot
from .result import Diagnosis
from .summary import verdict

STYLE = """<style>
svg.drift { width: 100%; min-width: 46rem; height: auto; }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); }
svg .limit { stroke: var(--bad); }
.finding { border-left: .3rem solid var(--line); padding: .1rem 0 .1rem .9rem; margin: 1.1rem 0; }
.finding p { margin: .25rem 0; } .finding h3 { margin: 0; font-size: 1rem; }
.finding.error { border-color: var(--bad); } .finding.warning { border-color: var(--warn); }
.finding.note { border-color: var(--note); color: inherit; } .finding b { font-weight: 600; }
.lesson { color: var(--quiet); } h1.warning { border: 0; padding: 0; color: var(--warn); } h1.note { color: inherit; }
code { white-space: nowrap; background: var(--track); border-radius: .2rem; padding: 0 .25rem; font-size: .9em; }
@media (max-width: 40rem) { code { white-space: normal; } }
</style>"""
_SHOWN = 40  # layers in the plot that is seen at once; of more, as many as drift most
_DRIFTING = 25
_FLAG = r"--[a-z]+(?:-[a-z]+)*(?: [A-Z]+(?:\.[a-z]+)?)?"
_COMMAND = re.compile(rf"(?:diagnose-model|export-model)(?: {_FLAG})*|{_FLAG}|training=True")


def render_diagnosis(diagnosis: Diagnosis) -> str:
    """The whole page. All names from the model are escaped."""
    return page(verdict(diagnosis), [STYLE, *_parts(diagnosis)])


def _parts(diagnosis: Diagnosis) -> Iterator[str]:
    yield f'<h1 class="{_tone(diagnosis)}">{escape(verdict(diagnosis))}</h1>'
    for note in diagnosis.notes:
        yield f'<p class="warning">{escape(note)}</p>'
    yield from map(finding_block, diagnosis.findings)
    if diagnosis.phase_1 is not None:
        yield "<h2>Predictions</h2>"
        yield from _predictions(diagnosis)
    if diagnosis.drifts:
        yield "<h2>Drift of every BatchNormalization, from input to output</h2>"
        yield from drift_parts(diagnosis.drifts, FULL.limit(diagnosis.samples))


def _tone(diagnosis: Diagnosis) -> str:
    if not diagnosis.findings:
        return "good"
    gravest = diagnosis.findings[0].severity
    return "bad" if gravest is Severity.ERROR else str(gravest)


def _predictions(diagnosis: Diagnosis) -> Iterator[str]:
    """The predictions of every output in service, in training and on recalibrated statistics."""
    yield paragraph(
        "Phase 0 is how the model is served: on its moving statistics. In phase 1, how it was trained, every batch is"
        " normalised by its own; recalibrated, the moving statistics are those of the samples. Where the three agree,"
        " the statistics are right."
    )
    heads = ("output", "", "scores", "differs from phase 0 by up to", "on average", "scale", "other class")
    yield table(heads, _prediction_rows(diagnosis))


def _prediction_rows(diagnosis: Diagnosis) -> Iterator[Sequence[object]]:
    compared = {"phase 1": diagnosis.phase_1, "recalibrated": diagnosis.recalibrated}
    for name in diagnosis.phase_1.changes if diagnosis.phase_1 else ():
        yield name, "phase 0", diagnosis.scores.get(name, ""), "", "", "", ""
        for label, other in compared.items():
            if other is not None:
                change = other.changes[name]
                share = "" if change.agreement is None else f"{1 - change.agreement:.1%}"
                yield "", label, other.scores.get(name, ""), change.largest, change.mean, change.scale, share


def drift_parts(drifts: Sequence[LayerDrift], limit: float) -> Iterator[str]:
    """The parts on drift: how to read it, the plot, and the numbers; of many layers those that drift most first."""
    yield paragraph(
        "The moving statistics against those of the samples, all layers before being right. A layer is off by 1"
        " where its output is off by as much as it varies; the dashed line is what chance and a healthy training"
        " leave. The last column tells how much of the predictions changes by this layer alone, where that was"
        " measured. ❄ marks layers that are not trainable.",
        "quiet",
    )
    everything = [_drift_table(drifts)]
    if len(drifts) > _SHOWN:
        yield paragraph(f"Of {len(drifts)} layers, the {_DRIFTING} that drift most, from input to output:")
        yield _plot(_most_drifting(drifts), limit)
        everything.insert(0, _plot(drifts, limit))
    else:
        yield _plot(drifts, limit)
    yield folded(f"The numbers of all {len(drifts)} layers", everything)


def _plot(drifts: Sequence[LayerDrift], limit: float) -> str:
    return scrolling("Drift by layer", drift_plot(drifts, limit))


def _most_drifting(drifts: Sequence[LayerDrift]) -> list[LayerDrift]:
    worst = sorted(range(len(drifts)), key=lambda index: -drifts[index].drift)[:_DRIFTING]
    return [drifts[index] for index in sorted(worst)]


def _drift_table(drifts: Sequence[LayerDrift]) -> str:
    return table(
        ("layer", "channels", "off by", "shift", "largest shift", "|log variance ratio|", "initial value left"),
        [(d.layer, d.channels, d.drift, d.shift, d.largest_shift, d.log_ratio, _share(d.residue)) for d in drifts],
    )


def _share(residue: float | None) -> str:
    return "" if residue is None else f"{residue:.1%}"


def finding_block(finding: Finding) -> str:
    """A finding with its layer, its effect on the predictions, its remedy and its explanation."""
    where = f" in {finding.layer}" if finding.layer else ""
    effect = (
        "" if finding.effect is None else f"<p><b>Predictions change by</b> {escape(change_text(finding.effect))}.</p>"
    )
    return (
        f'<div class="finding {finding.severity}"><h3>{escape(finding.severity)}: {escape(finding.kind + where)}</h3>'
        f"<p>{_with_commands(finding.what)}.</p>{effect}"
        f"<p><b>Remedy:</b> {_with_commands(finding.remedy)}</p>"
        f'<p class="lesson">{escape(EXPLANATIONS[finding.kind])}</p></div>'
    )


def _with_commands(text: str) -> str:
    """The text, escaped; commands in it are set as code and never broken over lines."""
    return _COMMAND.sub(r"<code>\g<0></code>", escape(text, quote=False))
