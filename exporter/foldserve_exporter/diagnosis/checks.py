"""The checks of a diagnosis: each turns evidence into findings."""

from collections.abc import Callable, Iterable

from .behaviour_checks import behaviour_faults
from .constant_outputs import constant_faults
from .drift_checks import drift_faults
from .evidence import Evidence, SampleEvidence
from .finding import Finding, FindingKind, ranked
from .prediction_checks import frozen_faults, phase_gaps, scaling_faults
from .weight_checks import permutation_faults, weight_faults

CHECKS: tuple[Callable[[Evidence], Iterable[Finding]], ...] = (weight_faults, behaviour_faults)
SAMPLE_CHECKS: tuple[Callable[[SampleEvidence], Iterable[Finding]], ...] = (
    phase_gaps,
    frozen_faults,
    scaling_faults,
    constant_faults,
    drift_faults,
    permutation_faults,
)
_BY_PERMUTATION = (
    FindingKind.STALE,
    FindingKind.OTHER_DATA,
    FindingKind.LAGGING,
    FindingKind.NEGATIVE_VARIANCE,
    FindingKind.EXPLODING_GAIN,
    FindingKind.TINY_VARIANCE,
    FindingKind.FROZEN_BUT_TRAINED,
)


def findings_of(evidence: Evidence) -> tuple[Finding, ...]:
    """All faults that the evidence shows, the gravest first. Weights in wrong places explain some of the others."""
    findings = [finding for check in CHECKS for finding in check(evidence)]
    if evidence.sampled is not None:
        findings += [finding for check in SAMPLE_CHECKS for finding in check(evidence.sampled)]
    if any(finding.kind is FindingKind.PERMUTED for finding in findings):
        findings = [finding for finding in findings if finding.kind not in _BY_PERMUTATION]
    return ranked(findings)
