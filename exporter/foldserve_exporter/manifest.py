"""The manifest of a verified export."""

from foldserve_contract.errors import DigestMismatch
from foldserve_contract.manifest import Manifest, SealedFile, VerifiedEngine
from foldserve_contract.signature import DEFAULT_SIGNATURE

from .report.record import Report


def make_manifest(report: Report, files: tuple[SealedFile, ...], max_batch_size: int) -> Manifest:
    """The manifest of a verified export over the files of its version directory."""
    verification, tools = report.verification, report.tools
    return Manifest(
        model=report.model,
        version=report.version,
        created=report.created,
        tools=tools,
        host=report.host,
        source=report.source,
        signatures={DEFAULT_SIGNATURE: report.signature},
        tolerances=report.tolerances,
        engines={
            name: VerifiedEngine(tools[name], "cpu", verification.deviations(name))
            for name in ("tensorflow", "onnxruntime")
        },
        batch_composition={name: verification.composition(name) for name in report.tolerances},
        max_batch_size=max_batch_size,
        fold=report.fold,
        golden=report.golden,
        files=files,
        labels=report.labels,
        preprocessing=report.preprocessing,
        recalibration=None if report.recalibration is None else report.recalibration.info,
    )


def require_unchanged(verified: tuple[SealedFile, ...], sealed: tuple[SealedFile, ...]) -> None:
    """Checks that the sealed files are those that were verified.

    Raises:
        DigestMismatch: A file changed or vanished in between.
    """
    now = set(sealed)
    for file in verified:
        if file not in now:
            raise DigestMismatch(f"{file.path} changed between verification and sealing; nothing was published")
