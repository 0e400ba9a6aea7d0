"""Puts the report together from what the steps found."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from foldserve_contract.host import cpu_model
from foldserve_contract.manifest import FoldEntry, OutputTolerance
from foldserve_contract.manifest import Recalibration as RecalibrationInfo
from foldserve_contract.publish import Staging

from ..diagnosis.examined import Examination
from ..diagnosis.findings import Findings
from ..folding import PlanEntry
from ..graph import float32_only
from ..load.loader import Loaded
from ..preparation import Expectation, FoldedModel
from ..recalibration.recalibrate import Recalibration
from ..runtime import tools
from ..verify.reference import Reference
from ..verify.sensitivity import Sensitivity
from ..verify.verdict import Verification
from .record import Recalibrated, Report
from .warnings import golden_warnings, input_warnings, sample_warnings


def make_report(
    staging: Staging,
    name: str,
    loaded: Loaded,
    folded: FoldedModel,
    expected: Expectation,
    diagnosis: tuple[Findings, Examination, Sensitivity],
    verification: Verification,
    tf32: Mapping[str, float],
    seconds: Mapping[str, float],
) -> Report:
    """The report of an export that is verified, or refused, but not published yet."""
    promised = expected.promised
    findings, examination, noticed = diagnosis
    return Report(
        model=name,
        version=staging.version,
        published=False,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=loaded.source,
        tools=tools(*loaded.readers),
        host=cpu_model(),
        signature=folded.signature,
        findings=examination.findings,
        drifts=examination.drifts,
        examined=examination.samples,
        fold=_fold_entries(folded.plan),
        baked=findings.baked,
        phases=findings.phases,
        narrow=float32_only(folded.graph),
        predict=findings.predict,
        tolerances=_tolerances(expected.reference, verification, tf32),
        verification=verification,
        golden=expected.golden_info,
        sensitivity=noticed,
        labels=folded.labels,
        preprocessing=folded.preprocessing,
        recalibration=_recalibrated(folded.recalibration),
        warnings=(
            *loaded.notes,
            *input_warnings(folded.graph),
            *sample_warnings(int(expected.given.sum())),
            *golden_warnings(expected.golden, expected.golden_info, promised),
        ),
        seconds=dict(seconds),
    )


def _recalibrated(done: Recalibration | None) -> Recalibrated | None:
    """What a recalibration did, without the statistics themselves."""
    if done is None:
        return None
    return Recalibrated(RecalibrationInfo(done.samples, done.sha256), done.changes, done.before, done.after)


def _tolerances(
    reference: Reference, verification: Verification, tf32: Mapping[str, float]
) -> dict[str, OutputTolerance]:
    """Bound, measured and promised deviation of every output."""
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
    """The plan as the manifest and the report hold it."""
    return tuple(FoldEntry(entry.bn, entry.call, str(entry.action), entry.reason) for entry in plan)
