"""The export as a list of steps: load, fold, trace, emit, reference, diagnose, verify, report, seal."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Unpack

from foldserve_contract.bundle import ONNX, ONNX_DATA
from foldserve_contract.publish import Staging, stage

from .bundle_files import write_golden, write_models
from .errors import Refused
from .manifest import require_unchanged
from .options import Choices, ExportOptions
from .progress import NoProgress, ProgressListener, StepTimer
from .report.record import Report
from .runtime import require_runtime, return_freed_memory
from .steps.diagnose import diagnose_export, explain_failure
from .steps.fold import FoldedModel, fold_model
from .steps.keras_file import require_savable, write_keras
from .steps.load import open_model
from .steps.publish import Exported, publish, refuse
from .steps.reference import ReferenceSet, reference_run
from .steps.report import StepResults, make_report
from .verify.tf32_tolerances import tf32_promises
from .verify.verifier import Verifier, candidates_of
from .verify.worker_pool import VerificationWorker, started_workers


def export_model(
    model: Any, output: Path | str, name: str, *, progress: ProgressListener | None = None, **choices: Unpack[Choices]
) -> Exported:
    """Folds a Keras model, proves that nothing changed, and publishes it as `output/name/VERSION`.

    Args:
        model: A `.keras` or `.h5` file, a SavedModel directory of Keras 2, `package.module:function` (with
            `trust_code`), or a built `keras.Model`; it comes back unchanged.
        output: The model repository.
        name: The model's name.
        progress: Listener for the steps.
        **choices: See `ExportOptions`.

    Raises:
        OptionsError: A choice has a value that cannot be used.
        CannotLoad: The file is not a model, or not one that can be read safely.
        Refused: The model cannot be exported safely; the message names what and why.
        SamplesError: The samples do not fit the model.
        VerificationFailed: An artifact does not answer as the model does; its report is kept, nothing is published.
        VersionExists: The version is there and `force` was not given.
        OSError: The disk is full or fails; nothing is published.
    """
    require_runtime()
    options = ExportOptions(Path(output), name, **choices)
    steps = StepTimer(progress or NoProgress())
    with (
        stage(options.output, name, options.version, force=options.force) as staging,
        started_workers() as workers,
        tempfile.TemporaryDirectory(prefix="foldserve-export-") as scratch,
    ):
        report = _make(model, options, staging, workers, Path(scratch), steps)
        if not report.verification.passed:
            raise refuse(report, options.output)
        with steps.step("seal"):
            return publish(report, options, staging)


def _make(
    model: Any,
    options: ExportOptions,
    staging: Staging,
    workers: tuple[VerificationWorker, ...],
    scratch: Path,
    steps: StepTimer,
) -> Report:
    """Runs all steps up to the verdict; the files that they write are in the staging directory."""
    with steps.step("load"):
        loaded = open_model(model, options)
    with steps.step("fold"):
        folded = fold_model(loaded, options)
        if options.keep_keras:
            require_savable(folded)
    with ExitStack() as stack:
        # a background thread computes the reference while the artifacts are written
        with steps.step("trace"):
            reference = stack.enter_context(reference_run(folded, options))
        with steps.step("emit"):
            write_models(folded.model, folded.signature, staging.path)
            keras_file = write_keras(folded, loaded, options, staging.path if options.keep_keras else scratch)
            return_freed_memory()  # before the workers load the artifacts
        with steps.step("reference"):
            expected = reference.result()
            write_golden(expected.golden, options.name, staging.path)
    # other processes verify the artifacts while this one diagnoses the model
    before = staging.seal()
    verifier = Verifier(
        expected.reference, expected.rows, folded.signature, loaded.modules, options.trust_code, expected.further
    )
    verification_run = verifier.start(candidates_of(staging.path, keras_file), workers, scratch / "verify")
    with steps.step("diagnose"):
        diagnosis = diagnose_export(loaded, folded, expected)
    with steps.step("verify"):
        verification = verification_run.finish(folded.model, steps.progress.detail)
        require_unchanged(before, staging.seal())
        if not verification.passed:
            diagnosis = explain_failure(diagnosis, folded, expected)
        tf32 = _tf32(staging.path, folded, expected) if options.tf32 and verification.passed else {}
    with steps.step("report"):
        results = StepResults(loaded, folded, expected, diagnosis, verification, tf32)
        return make_report(options.name, staging.version, results, steps.seconds)


def _tf32(directory: Path, folded: FoldedModel, expected: ReferenceSet) -> Mapping[str, float]:
    if (directory / ONNX_DATA).exists():
        raise Refused(
            "TF32 cannot be verified for a model whose weights do not fit into one file: export it without --tf32"
        )
    content = (directory / ONNX).read_bytes()
    return tf32_promises(content, folded.signature, expected.rows, expected.reference)
