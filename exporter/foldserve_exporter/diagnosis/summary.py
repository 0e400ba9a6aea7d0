"""Sentences of a diagnosis that the terminal and the page have in common."""

from collections import Counter
from collections.abc import Iterable, Iterator

from ..predictions.change_text import change_text
from .finding import Finding, Severity
from .result import Diagnosis


def verdict(diagnosis: Diagnosis) -> str:
    """The verdict in one line."""
    seen = (
        counted_noun(diagnosis.samples, "sample")
        if diagnosis.samples
        else "no samples: what needs data was not looked for"
    )
    return (
        f"{diagnosis.model}: {counted(diagnosis.findings) or 'nothing found'}"
        f" ({diagnosis.batch_norms} BatchNormalization, {seen})"
    )


def counted_noun(count: int, noun: str) -> str:
    """The count with its noun: "1 sample", "3 samples"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def counted(findings: Iterable[Finding]) -> str:
    """The number of findings of each severity."""
    counts = Counter(finding.severity for finding in findings)
    present = ((severity, counts[severity]) for severity in Severity if counts[severity])
    return ", ".join(counted_noun(count, severity) for severity, count in present)


def prediction_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The predictions in both phases and on the samples' statistics, a line each for every output."""
    others = (("phase 1", diagnosis.phase_1), ("recalibrated", diagnosis.recalibrated))
    for name, scores in diagnosis.scores.items():
        yield f"{name}, phase 0: {scores}"
    for label, compared in others:
        if compared is None:
            continue
        for name, change in compared.changes.items():
            scored = f"{compared.scores[name]}; " if name in compared.scores else ""
            yield f"{name}, {label}: {scored}differs from phase 0 by {change_text(change)}"
