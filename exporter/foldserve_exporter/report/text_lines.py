"""Text of the report that the terminal and the HTML page share."""

from ..diagnosis.summary import counted
from ..recalibration.effect_text import effect_lines
from ..verify.verdict import CandidateVerdict
from .record import Report


def verdict(report: Report) -> str:
    """The result of the export, in one line."""
    if report.published:
        return f"{report.model}/{report.version}: verified and published"
    return f"{report.model}/{report.version}: refused, nothing was published"


def diagnosis_line(report: Report) -> str:
    """A summary of the findings in the model as it was given, or as it is after recalibration, in one line."""
    which = "the model as given" if report.recalibration is None else "the model, recalibrated"
    seen = f"{report.examined:,} samples" if report.examined else "no samples: what needs data was not looked for"
    return f"{which}: {counted(report.findings) or 'nothing found'} ({seen})"


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
        agreement = "" if gap.agreement is None else f"; the same class for {gap.agreement:.0%} of the samples"
        lines.append(
            f"{name}: phase 0 and phase 1 differ by up to {gap.largest:.3g} (scale {gap.scale:.3g}){agreement}"
        )
    return lines


def recalibration_lines(report: Report) -> list[str]:
    """The effect of recalibrating the model, line by line; empty where it was not recalibrated."""
    result = report.recalibration
    if result is None:
        return []
    head = f"moving statistics estimated anew from {result.info.samples:,} samples (SHA-256 {result.info.sha256[:16]}…)"
    return [head, *effect_lines(result.changes, result.before, result.after)]


def golden_line(report: Report) -> str:
    """The origin of the golden samples and their sensitivity, in one line."""
    kind = "synthetic" if report.golden.synthetic else "from the given samples"
    noticed = [value for value in report.sensitivity.values() if value is not None]
    if not noticed:
        return f"{report.golden.samples} golden samples, {kind}"
    blind = len(report.sensitivity) - len(noticed)
    return (
        f"{report.golden.samples} golden samples, {kind}: they notice a change of {max(noticed):.2g} (relative) in one"
        " median weight of any layer" + (f" but {blind}" if blind else "")
    )


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
