"""The answer of a report: what was decided, and the few numbers that it rests on."""

from collections.abc import Iterator
from html import escape

from ..diagnosis.finding import Severity
from ..html.bars import Part, Tone, bar, stacked
from ..html.page import paragraph
from .record import Report
from .shares import limit_share, share_text
from .text_lines import counted_findings, phase_hint, phases_apart, verdict

STYLE = """<style>
.answer { border-left: .4rem solid currentColor; padding: .2rem 0 .2rem 1rem; } .answer h1, .answer p { margin: 0; }
.answer .quiet { font-size: .9rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.fact { background: var(--surface); border: 1px solid var(--line); border-radius: .4rem; padding: .8rem 1rem; }
.fact h2 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--quiet); }
.fact .big { font-size: 1.6rem; line-height: 1.3; font-weight: 600; margin: .1rem 0; overflow-wrap: normal; }
.fact p { margin: .35rem 0 0; } .fact .bar { margin: .4rem 0; min-width: 0; }
</style>"""
_FOLDED = {
    "backward": "into the layer before",
    "forward": "into the layers behind",
    "identity": "did nothing, and are gone",
}
_MARKS = {Tone.GOOD: "✓", Tone.BAD: "✗"}


def answer_parts(report: Report) -> Iterator[str]:
    """The verdict, and a card for each number that it rests on."""
    tone = Tone.GOOD if report.published else Tone.BAD
    origin = f"{report.source.file} (SHA-256 {report.source.sha256[:16]}…), {report.created}"
    yield STYLE
    yield (
        f'<header class="answer {tone}"><h1>{_MARKS[tone]} {escape(verdict(report))}</h1>'
        f"{paragraph(origin, 'quiet')}</header>"
    )
    yield '<div class="facts">'
    yield from (_deviation(report), _batch_norms(report), _phases(report), _golden(report), _findings(report))
    yield "</div>"


def _deviation(report: Report) -> str:
    candidates = report.verification.candidates
    passed = sum(candidate.passed for candidate in candidates)
    share = max((limit_share(candidate) for candidate in candidates), default=0.0)
    tone = Tone.GOOD if report.verification.passed else Tone.BAD
    words = (
        f"{'of ' if share <= 1 else ''}the largest deviation allowed, at worst: {passed} of {len(candidates)} artifacts"
        " and settings passed"
    )
    return _fact("Same answers", share_text(share), tone, bar(share, tone) + paragraph(words))


def _batch_norms(report: Report) -> str:
    total = len(report.fold)
    if not total:
        return _fact("BatchNormalization", "none", Tone.NOTE, paragraph("there is none in this model"))
    counts = {action: sum(entry.action == action for entry in report.fold) for action in _FOLDED}
    half = sum("affine" in entry.action and entry.action != "left_affine" for entry in report.fold)
    parts = [Part(counts[action], words, Tone.GOOD) for action, words in _FOLDED.items()]
    parts += [
        Part(half, "in part, with one sum or product left", Tone.NOTE),
        Part(total - report.folded - half, "left as an affine map, without a phase", Tone.REST),
    ]
    return _fact("BatchNormalization folded", f"{report.folded} of {total}", Tone.GOOD, stacked(parts))


def _phases(report: Report) -> str:
    name, gap = max(report.phases.items(), key=lambda item: item[1].size, default=("", None))
    if gap is None:
        return ""
    apart = phases_apart(report)
    tone = Tone.WARN if apart else Tone.GOOD
    words = f"of output {name!r} is other in training (phase 1) than in service (phase 0)"
    if gap.agreement is not None:
        words += f"; the same class for {gap.agreement:.0%} of the samples"
    hint = phase_hint(report)
    return _fact("Learning phases", f"{gap.size:.0%}", tone, paragraph(words) + (paragraph(hint) if hint else ""))


def _golden(report: Report) -> str:
    check = report.golden_check
    weak, layers = len(check.weak), len(check.noticed)
    if not layers:
        return _fact("Golden check at reloads", f"{report.golden.samples} samples", Tone.NOTE, "")
    tone = Tone.GOOD if not weak else Tone.WARN
    head = check.sharpness if not weak else f"not seen in {weak} of {layers}"
    return _fact("Golden check: one wrong weight", head, tone, paragraph(check.line()))


def _findings(report: Report) -> str:
    head = counted_findings(report)
    gravest = report.findings[0] if report.findings else None
    tone = Tone.GOOD if gravest is None else Tone.BAD if gravest.severity is Severity.ERROR else Tone.WARN
    if gravest is None:
        seen = "" if report.compared else " What needs samples was not looked for."
        return _fact("The model as given", head, tone, paragraph(f"No fault was found in it.{seen}"))
    where = f" in {gravest.layer}" if gravest.layer else ""
    return _fact("The model as given", head, tone, paragraph(f"The gravest: {gravest.kind}{where}."))


def _fact(title: str, big: str, tone: Tone, content: str) -> str:
    return f'<section class="fact"><h2>{escape(title)}</h2><p class="big {tone}">{escape(big)}</p>{content}</section>'
