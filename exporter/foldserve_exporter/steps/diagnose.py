"""Fifth step: diagnosis of the model as it was given, for the top of the report."""

from dataclasses import dataclass, replace

from ..diagnosis.export_batch_dependence import batch_dependence
from ..diagnosis.finding import ranked
from ..diagnosis.result import Diagnosis
from ..diagnosis.subject import PhaseBehaviour, Subject, diagnose_subject
from ..load.loader import Loaded
from ..verify.sensitivity import Sensitivity, sensitivity
from .fold import FoldedModel
from .reference import ReferenceSet


@dataclass(frozen=True, slots=True, eq=False)
class ExportDiagnosis:
    """The diagnosis of an exported model.

    Attributes:
        diagnosis: Its faults, and the drifts of its layers.
        phases: Its behaviour in both learning phases.
        sensitivity: The smallest change of the folded model that the golden samples notice.
    """

    diagnosis: Diagnosis
    phases: PhaseBehaviour
    sensitivity: Sensitivity


def diagnose_export(loaded: Loaded, folded: FoldedModel, expected: ReferenceSet) -> ExportDiagnosis:
    """Examines the model as it was before the fold and, where it is the same model, as it was given."""
    given = loaded.model if folded.as_given else None
    limits = {name: expected.reference.limit(name) for name in expected.promised}
    subject = Subject(
        folded.graph,
        given,
        expected.rows.judged_inputs,
        expected.reference.outputs,
        limits,
        expected.given,
        expected.unfolded,
        folded.classified,
    )
    diagnosis, phases = diagnose_subject(subject)
    noticed = sensitivity(folded.model, expected.rows.golden_inputs, expected.promised)
    return ExportDiagnosis(diagnosis, phases, noticed)


def explain_failure(diagnosed: ExportDiagnosis, folded: FoldedModel, expected: ReferenceSet) -> ExportDiagnosis:
    """Adds the finding that the model's own answers depend on the batch, where that is why its artifacts failed."""
    finding = batch_dependence(folded.graph, expected.unfolded.run, expected.rows, expected.reference)
    if finding is None:
        return diagnosed
    diagnosis = diagnosed.diagnosis
    findings = ranked((finding, *diagnosis.findings))
    return replace(diagnosed, diagnosis=replace(diagnosis, findings=findings))
