"""The report, composed from the results of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from foldserve_contract.host import cpu_model
from foldserve_contract.manifest import FoldEntry, OutputTolerance, Recalibration

from ..folding import PlanEntry
from ..graph import float32_only
from ..graph.labels import label_notes
from ..load.loader import Loaded
from ..recalibration.recalibrate import RecalibrationResult
from ..report.golden_check import GoldenCheck
from ..report.record import RecalibrationEffect, Report
from ..report.warnings import golden_warnings, input_warnings, sample_warnings
from ..runtime import tools
from ..verify.reference import Reference
from ..verify.verdict import Verification
from .diagnose import ExportDiagnosis
from .fold import FoldedModel
from .reference import ReferenceSet


@dataclass(frozen=True, slots=True, eq=False)
class StepResults:
    """The results of an export's steps.

    Attributes:
        tf32: By output, the tolerance promised for GPUs that round to TF32; empty where that was not requested.
    """

    loaded: Loaded
    folded: FoldedModel
    expected: ReferenceSet
    diagnosis: ExportDiagnosis
    verification: Verification
    tf32: Mapping[str, float]


def make_report(name: str, version: int, results: StepResults, seconds: Mapping[str, float]) -> Report:
    """Makes the report of an export that is verified or refused, but not published yet."""
    loaded, folded, expected = results.loaded, results.folded, results.expected
    diagnosis, phases = results.diagnosis.diagnosis, results.diagnosis.phases
    sensitivity = results.diagnosis.sensitivity
    return Report(
        model=name,
        version=version,
        published=False,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=loaded.source,
        tools=tools(*loaded.readers),
        host=cpu_model(),
        signature=folded.signature,
        findings=diagnosis.findings,
        drifts=diagnosis.drifts,
        examined=diagnosis.samples,
        fold=_fold_entries(folded.plan),
        baked=phases.baked,
        phases=phases.phases,
        narrow=float32_only(folded.graph),
        predict=phases.predict,
        tolerances=_tolerances(expected.reference, results.verification, results.tf32),
        verification=results.verification,
        golden=expected.golden_info,
        sensitivity=sensitivity,
        labels=folded.labels,
        preprocessing=folded.preprocessing,
        recalibration=_effect(folded.recalibration),
        sizes=(expected.sizes, *results.verification.sizes) if expected.sizes else (),
        warnings=(
            *loaded.notes,
            *folded.graph.notes,
            *label_notes(folded.graph),
            *input_warnings(folded.graph),
            *sample_warnings(int(expected.given.sum())),
            *golden_warnings(expected.golden, expected.golden_info, expected.promised),
            *GoldenCheck.of(expected.golden_info, sensitivity).warning(has_samples=bool(expected.given.any())),
        ),
        seconds=dict(seconds),
    )


def _effect(result: RecalibrationResult | None) -> RecalibrationEffect | None:
    """Reduces a recalibration to its effect, without the statistics themselves."""
    if result is None:
        return None
    return RecalibrationEffect(
        Recalibration(result.samples, result.sha256), result.changes, result.before, result.after
    )


def _tolerances(
    reference: Reference, verification: Verification, tf32: Mapping[str, float]
) -> dict[str, OutputTolerance]:
    """The bound of each output's deviation, and its measured and promised values."""
    return {
        name: OutputTolerance(
            reference.scale[name],
            reference.noise[name],
            reference.limit(name),
            verification.measured(name),
            reference.promised(name),
            tf32.get(name),
        )
        for name in reference.outputs
    }


def _fold_entries(plan: Sequence[PlanEntry]) -> tuple[FoldEntry, ...]:
    """Converts the plan to entries of the manifest and the report."""
    return tuple(FoldEntry(entry.bn, entry.call, str(entry.action), entry.reason) for entry in plan)
