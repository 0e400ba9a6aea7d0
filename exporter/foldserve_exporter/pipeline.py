"""The export as a list of steps: load, fold, trace, emit, reference, diagnose, verify, report, seal."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from foldserve_contract.bundle import ONNX, ONNX_DATA
from foldserve_contract.publish import Staging, stage
from foldserve_contract.signature import Array, Arrays

from .artifacts import KERAS_FILE, write_golden, write_models
from .emit.triton import published_config
from .errors import Refused, VerificationFailed
from .load.loader import Loaded, require_readable
from .options import ExportOptions
from .preparation import Expectation, FoldedModel, asked, diagnose, fold_model, open_model
from .progress import Progress, Silent, Steps
from .report.compose import make_report
from .report.files import write_json, write_page, write_reports
from .report.record import Report
from .runtime import require_runtime
from .sealing import make_manifest, require_unchanged
from .verify.reduced import tf32_promises
from .verify.verifier import Verifier, candidates_of
from .verify.workers import Worker, started_workers

FAILED = "failed"


class Choices(TypedDict, total=False):
    """The keyword arguments of `export_model`; `ExportOptions` says what each means."""

    version: int | None
    samples: Path | str | Array | Arrays | None
    golden: int
    golden_synthetic: bool
    seed: int
    force: bool
    keep_keras: bool
    max_batch_size: int
    features: str | None
    preprocess: str | None
    labels: Path | str | tuple[str, ...] | None
    rename: tuple[str, ...]
    trust_code: bool
    custom_objects: tuple[str, ...]
    tf32: bool
    recalibrate: Path | str | Array | Arrays | None
    recalibrate_labels: Path | str | Array | Arrays | None


@dataclass(frozen=True, slots=True)
class Exported:
    """A published version.

    Attributes:
        path: The version directory.
        report: What the export found.
    """

    path: Path
    report: Report


def export_model(
    model: Any, output: Path | str, name: str, *, progress: Progress | None = None, **choices: Unpack[Choices]
) -> Exported:
    """Folds a Keras model, proves that nothing changed, and publishes it as `output/name/VERSION`.

    Args:
        model: A `.keras` or `.h5` file, a SavedModel directory of Keras 2, `package.module:function` (with
            `trust_code`), or a built `keras.Model`; it comes back unchanged.
        output: The model repository.
        name: The model's name.
        progress: Who is told of the steps.
        **choices: See `ExportOptions`.

    Raises:
        OptionsError: A choice has a value that cannot be used.
        CannotLoad: The file is no model, or not one that can be read safely.
        Refused: The model cannot be exported safely; the message names what and why.
        SamplesError: The samples do not fit the model.
        VerificationFailed: An artifact does not answer as the model does; its report is kept, nothing is published.
        VersionExists: The version is there and `force` was not given.
        OSError: The disk is full or fails; nothing is published.
    """
    require_runtime()
    options = ExportOptions(Path(output), name, **choices)
    steps = Steps(progress or Silent())
    with (
        stage(options.output, name, options.version, force=options.force) as staging,
        started_workers() as workers,
        tempfile.TemporaryDirectory(prefix="foldserve-export-") as scratch,
    ):
        report = _make(model, options, staging, workers, Path(scratch), steps)
        if not report.verification.passed:
            raise _refuse(report, options.output)
        with steps.step("seal"):
            return _publish(report, options, staging)


def _make(
    model: Any, options: ExportOptions, staging: Staging, workers: tuple[Worker, ...], scratch: Path, steps: Steps
) -> Report:
    """All steps up to the verdict; what they wrote stands in the staging directory."""
    with steps.step("load"):
        loaded = open_model(model, options)
    with steps.step("fold"):
        folded = fold_model(loaded, options)
        if options.keep_keras:
            _require_savable(folded)
    with ExitStack() as stack:
        with steps.step("trace"):
            question = stack.enter_context(asked(folded, options))
        with steps.step("emit"):
            write_models(folded.model, folded.signature, staging.path)
            keras_file = _write_keras(folded, loaded, options, staging.path if options.keep_keras else scratch)
        with steps.step("reference"):
            expected = question.expectation()
            write_golden(expected.golden, options.name, staging.path)
    before = staging.seal()
    verifier = Verifier(expected.reference, expected.rows, folded.signature, loaded.modules, options.trust_code)
    trial = verifier.begin(candidates_of(staging.path, keras_file), workers, scratch / "verify")
    with steps.step("diagnose"):
        diagnosis = diagnose(loaded, folded, expected)
    with steps.step("verify"):
        verification = trial.conclude(folded.model, steps.progress.detail)
        require_unchanged(before, staging.seal())
        tf32 = _tf32(staging.path, folded, expected) if options.tf32 and verification.passed else {}
    with steps.step("report"):
        return make_report(
            staging, options.name, loaded, folded, expected, diagnosis, verification, tf32, steps.seconds
        )


def _require_savable(folded: FoldedModel) -> None:
    """A copy that a file brings back hears the learning phase again."""
    if folded.unsavable:
        raise Refused(
            f"--keep-keras: {folded.unsavable} stays a class of your own whose call() cannot be read, and model.keras "
            "would bring back its BatchNormalization or dropout. Leave --keep-keras out: SavedModel and ONNX hold none"
        )


def _write_keras(folded: FoldedModel, loaded: Loaded, options: ExportOptions, folder: Path) -> Path | None:
    """`model.keras`, or None where nobody keeps it and a fresh process could not read it as the same model.

    Raises:
        Refused: It is to be kept, and whoever has it could not read it again.
    """
    if folded.is_unread and not options.keep_keras:
        return None
    file = folder / KERAS_FILE
    folded.model.model.save(file)
    try:
        require_readable(file, loaded.modules, options.trust_code)
    except Refused as refused:
        if not options.keep_keras:
            return None
        raise Refused(f"--keep-keras: model.keras could not be read again: {refused}") from refused
    return file


def _tf32(artifacts: Path, folded: FoldedModel, expected: Expectation) -> Mapping[str, float]:
    if (artifacts / ONNX_DATA).exists():
        raise Refused("TF32 is not told for a model whose weights do not fit into one file: export it without --tf32")
    content = (artifacts / ONNX).read_bytes()
    return tf32_promises(content, folded.signature, expected.rows, expected.reference)


def _refuse(report: Report, output: Path) -> VerificationFailed:
    """Keeps the report of a refused export beside the models, as files: Triton takes every folder there for a model."""
    page = output / f"{report.model}-{report.version}.{FAILED}.html"
    write_page(report, page)
    write_json(report, page.with_suffix(".json"))
    reasons = "".join(f"\n  {failure}" for failure in report.verification.failures)
    return VerificationFailed(
        f"the export of {report.model}/{report.version} does not answer as the model does; nothing was published."
        f"{reasons}\nThe report: {page}",
        report,
    )


def _publish(report: Report, options: ExportOptions, staging: Staging) -> Exported:
    published = replace(report, published=True)
    write_reports(published, staging.path)
    with published_config(staging.path, options.name, options.max_batch_size):  # the version comes last
        manifest = make_manifest(published, staging.seal(), options.max_batch_size)
        return Exported(staging.publish(manifest, force=options.force), published)
