"""Fifth step: diagnosis of the model as it was given, for the top of the report."""

from dataclasses import dataclass

from ..diagnosis.examined import Examination, Subject, examine, gaps_of, joined
from ..diagnosis.findings import Findings, find
from ..load.loader import Loaded
from ..verify.sensitivity import Sensitivity, sensitivity
from .fold import FoldedModel
from .reference import ReferenceSet


@dataclass(frozen=True, slots=True, eq=False)
class ExportDiagnosis:
    """The diagnosis of an exported model.

    Attributes:
        findings: The model's behaviour in both learning phases.
        examination: The model's faults, and the drifts of its layers.
        sensitivity: The smallest change of the folded model that the golden samples notice.
    """

    findings: Findings
    examination: Examination
    sensitivity: Sensitivity


def diagnose_export(loaded: Loaded, folded: FoldedModel, expected: ReferenceSet) -> ExportDiagnosis:
    """Examines the model as it was before the fold and, where it is the same model, as it was given."""
    given = loaded.model if folded.as_given else None
    rows, right = expected.rows.judged_inputs, expected.reference.outputs
    subject = Subject(folded.graph, given, rows, right, expected.given, expected.unfolded)
    joint = joined(subject)
    phases = gaps_of(subject, joint) if joint is not None and joint.is_phase_1 else None
    findings = find(given, folded.graph, expected.unfolded.named, rows, right, phases)
    limits = {name: expected.reference.limit(name) for name in expected.promised}
    noticed = sensitivity(folded.model, expected.rows.golden_inputs, expected.promised)
    return ExportDiagnosis(findings, examine(subject, findings, limits, joint), noticed)
