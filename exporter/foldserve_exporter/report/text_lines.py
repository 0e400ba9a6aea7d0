"""Text of the report that the terminal and the HTML page share."""

from ..diagnosis.finding import FindingKind
from ..diagnosis.prediction_checks import APART
from ..diagnosis.summary import counted, counted_noun
from ..predictions.change_text import same_class_text
from ..recalibration.effect_text import effect_lines
from ..verify.verdict import CandidateVerdict
from .record import Report

_ABOUT_PHASES = (FindingKind.PHASE_GAP, FindingKind.FROZEN_BUT_TRAINED, FindingKind.NEIGHBOURS)


def verdict(report: Report) -> str:
    """The result of the export, in one line."""
    if report.published:
        return f"{report.model}/{report.version}: verified and published"
    why = ": its answers depend on the batch" if report.batch_dependence else ""
    return f"{report.model}/{report.version}: refused{why}; nothing was published"


def diagnosis_line(report: Report) -> str:
    """A summary of the findings in the model as it was given, or as it is after recalibration, in one line."""
    which = "the model as given" if report.recalibration is None else "the model, recalibrated"
    nothing = ", but its learning phases are apart" if not report.findings and phases_apart(report) else ""
    return f"{which}: {counted_findings(report)}{nothing} ({_seen(report)})"


def counted_findings(report: Report) -> str:
    """The number of findings of each severity, or that there are none."""
    return counted(report.findings) or "nothing found"


def _seen(report: Report) -> str:
    if not report.examined:
        return "no samples: what needs data was not looked for"
    if not report.compared:
        return f"{counted_noun(report.examined, 'sample')}: too few to look for what needs data"
    return f"{report.examined:,} samples"


def fold_summary(report: Report) -> str:
    """A summary of the folded BatchNormalization calls, in one line."""
    total = len(report.fold)
    if total == 0:
        return "no BatchNormalization in this model"
    kept = total - report.folded
    return f"{report.folded} of {total} BatchNormalization calls folded" + (
        f", {kept} kept as an affine" if kept else ""
    )


def phase_lines(report: Report) -> list[str]:
    """The predictions' difference between learning phases, a line for each output."""
    lines = []
    for name, gap in report.phases.items():
        lines.append(
            f"{name}: phase 0 and phase 1 differ by up to {gap.largest:.3g} (scale {gap.scale:.3g})"
            f"{same_class_text(gap)}"
        )
    return lines


def phases_apart(report: Report) -> bool:
    """Tests whether the predictions of the two phases differ as much as a fault would make them."""
    return any(gap.size > APART for gap in report.phases.values())


def phase_note(report: Report) -> str:
    """What phases that are apart mean where no finding explains them; empty where nothing needs a word."""
    if not phases_apart(report) or any(finding.kind in _ABOUT_PHASES for finding in report.findings):
        return ""
    if not report.compared:
        inputs = "inputs that were drawn at random" if not report.examined else "a few samples and mixtures of them"
        return (
            f"the phases were compared on {inputs}. That they differ there is a fault, or due to inputs which are not"
            " what the model was trained on: real samples decide. Give --samples of 32 or more"
        )
    if report.findings:
        return ""
    return (
        f"no layer's statistics are off by more than chance leaves on {report.examined} samples: predictions that"
        " hardly vary change with the least. diagnose-model on more samples decides"
    )


def phase_hint(report: Report) -> str:
    """The same in a few words."""
    if not phase_note(report):
        return ""
    return "That may be chance: see below" if report.compared else "Compared on inputs that are not yours: see below"


def recalibration_lines(report: Report) -> list[str]:
    """The effect of recalibrating the model, line by line; empty where it was not recalibrated."""
    result = report.recalibration
    if result is None:
        return []
    head = f"moving statistics estimated anew from {result.info.samples:,} samples (SHA-256 {result.info.sha256[:16]}…)"
    return [head, *effect_lines(result.changes, result.before, result.after)]


def golden_line(report: Report) -> str:
    """The origin of the golden samples and what they notice, in one line."""
    return report.golden_check.line()


def size_lines(report: Report) -> list[str]:
    """The sizes of open dimensions at which the export was verified, in one line; empty where none is open."""
    return [f"verified at these sizes of open dimensions: {'; '.join(report.sizes)}"] if report.sizes else []


def reference_line(report: Report) -> str:
    """The reference of the comparison, in one line."""
    line = "The reference is the model before the fold, on moving statistics, in float64"
    if not report.narrow:
        return f"{line}."
    narrow = ", ".join(report.narrow)
    return f"{line}, but for {narrow}, which compute, or may compute, in float32 whatever the dtype."


def candidate_result(candidate: CandidateVerdict) -> str:
    """The verdict over a candidate; other classes for near ties are counted, not judged."""
    if not candidate.passed:
        return "; ".join(candidate.failures)
    ties = sum(output.close_flips for output in candidate.outputs.values())
    return f"passed; another class for {ties} near ties" if ties else "passed"
