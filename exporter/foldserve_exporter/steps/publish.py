"""Last step: seals and publishes the version directory, or keeps the report of a refused export."""

from dataclasses import dataclass, replace
from pathlib import Path

from foldserve_contract.publish import Staging

from ..diagnosis.finding import Finding
from ..emit.triton import published_config
from ..manifest import make_manifest
from ..options import ExportOptions
from ..report.record import Report
from ..report.report_files import write_json, write_page, write_reports
from ..report.verification_failed import BatchDependent, VerificationFailed

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Exported:
    """A published version.

    Attributes:
        path: The version directory.
        report: The report of the export.
    """

    path: Path
    report: Report


def publish(report: Report, options: ExportOptions, staging: Staging) -> Exported:
    """Seals the version directory and moves it into the model repository."""
    published = replace(report, published=True)
    write_reports(published, staging.path)
    # the version appears last
    with published_config(staging.path, staging.version, options.name, report.signature, options.max_batch_size):
        manifest = make_manifest(published, staging.seal(), options.max_batch_size)
        return Exported(staging.publish(manifest, force=options.force), published)


def refuse(report: Report, output: Path) -> VerificationFailed:
    """Writes the report of a refused export into the repository, as files: Triton takes every folder for a model."""
    page = output / f"{report.model}-{report.version}.{FAILED}.html"
    write_page(report, page)
    write_json(report, page.with_suffix(".json"))
    if report.batch_dependence is not None:
        return BatchDependent(f"{_dependence(report.batch_dependence)}\nThe report: {page}", report)
    causes = (*report.verification.failures, report.verification.explanation)
    reasons = "".join(f"\n  {reason}" for reason in causes if reason)
    return VerificationFailed(
        f"the export of {report.model}/{report.version} does not answer as the model does; nothing was published."
        f"{reasons}\nThe report: {page}",
        report,
    )


def _dependence(finding: Finding) -> str:
    where = finding.layer or "a layer that could not be named"
    size = "" if finding.effect is None else f", by up to {finding.effect.largest:.3g}"
    return (
        f"{where}: the model itself answers a row differently among other rows{size}: a"
        f" statistic is taken over the batch, and servers batch rows of strangers. {finding.remedy}"
    )
