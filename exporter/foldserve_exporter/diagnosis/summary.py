"""Sentences of a diagnosis that the terminal and the page have in common."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from ..predictions.change import Change
from .finding import Finding, Severity
from .result import Diagnosis


def verdict(diagnosis: Diagnosis) -> str:
    """The verdict in one line."""
    seen = f"{diagnosis.samples:,} samples" if diagnosis.samples else "no samples: what needs data was not looked for"
    return (
        f"{diagnosis.model}: {counted(diagnosis.findings) or 'nothing found'}"
        f" ({diagnosis.batch_norms} BatchNormalization, {seen})"
    )


def counted(findings: Iterable[Finding]) -> str:
    """The number of findings of each severity."""
    counts = Counter(finding.severity for finding in findings)
    present = ((severity, counts[severity]) for severity in Severity if counts[severity])
    return ", ".join(f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in present)


def effect_line(effect: Change) -> str:
    """The effect of a fault on the predictions."""
    if not np.isfinite(effect.largest):
        return "beyond measure: some of them are no numbers"
    agreement = "" if effect.agreement is None else f"; {1 - effect.agreement:.0%} of the samples change their class"
    return f"up to {effect.largest:.3g}, {effect.mean:.3g} on average (scale {effect.scale:.3g}){agreement}"


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
            yield f"{name}, {label}: {scored}differs from phase 0 by {effect_line(change)}"
