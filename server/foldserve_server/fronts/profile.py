"""What a front end is told of an engine, from the report of its start and back."""

from pathlib import Path

from foldserve_contract.manifest import Manifest
from foldserve_engine.link.documents import Ready
from foldserve_engine.protocol import EngineKind

from ..engines import LoadReport
from .documents import Profile


def profile(path: Path, kind: EngineKind, report: LoadReport, ready: Ready) -> Profile:
    """What front ends are told."""
    return Profile(
        path=str(path),
        kind=kind.value,
        manifest=report.manifest.to_bytes().decode(),
        digest=report.digest,
        verdict=report.verdict,
        warmed=report.warmed,
        max_batch_size=report.max_batch_size,
        stages=report.stages,
        seconds=report.seconds,
        pid=report.pid,
        exact_rows=report.exact_rows,
        verified=report.verified,
        buckets=report.buckets,
        deterministic=report.deterministic,
        placement=report.placement,
        credit_rows=ready.credit_rows,
        credit_bytes=ready.credit_bytes,
    )


def report(told: Profile) -> LoadReport:
    """What a front end was told."""
    return LoadReport(
        manifest=Manifest.from_bytes(told.manifest.encode()),
        digest=told.digest,
        verdict=told.verdict,
        warmed=told.warmed,
        max_batch_size=told.max_batch_size,
        stages=told.stages,
        seconds=told.seconds,
        pid=told.pid,
        exact_rows=told.exact_rows,
        verified=told.verified,
        buckets=told.buckets,
        deterministic=told.deterministic,
        placement=told.placement,
    )
