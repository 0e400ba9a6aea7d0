"""The result of a diagnosis, and how it follows from the evidence."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..predictions.scores import Scores
from .checks import findings_of
from .drift import LayerDrift
from .evidence import Comparison, Evidence
from .finding import Finding, Severity
from .layer_weights import unique_ops


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The faults of a model, and the measurements that show them.

    Attributes:
        model: The model's name.
        batch_norms: The number of its BatchNormalization layers.
        samples: The number of samples; 0 where none were given.
        findings: The faults, the gravest first.
        drifts: Every layer's drift, in the order of the graph; empty without samples.
        scores: Scores of phase 0, by output that has labels.
        phase_1: Phase 1 against phase 0; None where it was not run.
        recalibrated: Predictions on the samples' statistics against phase 0; None where they were not run.
        notes: Checks that were not possible, and repairs made in reading the file, in words.
    """

    model: str
    batch_norms: int
    samples: int
    findings: tuple[Finding, ...]
    drifts: tuple[LayerDrift, ...]
    scores: Mapping[str, Scores]
    phase_1: Comparison | None
    recalibrated: Comparison | None
    notes: tuple[str, ...] = ()

    def has(self, least: Severity) -> bool:
        """Tests whether a finding is at least as grave."""
        return any(finding.severity.rank <= least.rank for finding in self.findings)


def diagnosis_of(evidence: Evidence) -> Diagnosis:
    """The diagnosis that follows from the evidence."""
    sampled = evidence.sampled
    return Diagnosis(
        model=evidence.graph.name,
        batch_norms=len(unique_ops(evidence.graph.batch_norms)),
        samples=evidence.rows,
        findings=findings_of(evidence),
        drifts=() if sampled is None else sampled.drifts,
        scores=evidence.scores,
        phase_1=None if sampled is None else sampled.phase_1,
        recalibrated=None if sampled is None else sampled.recalibrated,
        notes=evidence.notes,
    )
