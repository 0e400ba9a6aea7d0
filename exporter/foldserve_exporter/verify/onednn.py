"""A second run of a SavedModel that failed, without oneDNN: whether TensorFlow's kernels for this CPU are at fault."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .job import Candidate, CandidateKind, VerificationJob, WorkerKind
from .verdict import CandidateVerdict
from .worker_pool import VerificationWorker

if TYPE_CHECKING:
    from .verifier import Verifier

SWITCH = "TF_ENABLE_ONEDNN_OPTS"


def onednn_explanation(
    verifier: "Verifier", candidates: tuple[Candidate, ...], verdicts: tuple[CandidateVerdict, ...], folder: Path
) -> str:
    """The words for artifacts that TensorFlow answers rightly without oneDNN; empty where that is not so.

    Args:
        verifier: Judges the second run as it did the first.
        candidates: All candidates.
        verdicts: Their verdicts.
        folder: Made for the second job where there is one.
    """
    answered = {verdict.name for verdict in verdicts if not verdict.passed and verdict.outputs}
    suspects = tuple(c for c in candidates if c.kind is CandidateKind.SAVED_MODEL and c.name in answered)
    if not suspects or os.environ.get(SWITCH) == "0":
        return ""
    again = _run_without(verifier, suspects, folder)
    right = [verdict.name for verdict in again if verdict.passed]
    others = [verdict.name for verdict in verdicts if verdict.passed and "onnxruntime" in verdict.name]
    return _words(right, has_onnx=bool(others)) if right else ""


def _run_without(verifier: "Verifier", suspects: tuple[Candidate, ...], folder: Path) -> tuple[CandidateVerdict, ...]:
    folder.mkdir()
    VerificationJob(suspects, verifier.signature, verifier.rows, further=verifier.row_sets[1:]).write(folder)
    worker = VerificationWorker(WorkerKind.TENSORFLOW, {SWITCH: "0"})
    try:
        worker.send_job(folder)
        end = worker.wait()
    finally:
        worker.close()
    return tuple(verifier.judge_reload(folder, candidate, None, end) for candidate in suspects)


def _words(right: list[str], *, has_onnx: bool) -> str:
    instead = ", or serve the ONNX model, which passed" if has_onnx else ""
    return (
        f"{', '.join(right)}: with {SWITCH}=0 it answers as the model does. It is TensorFlow's oneDNN kernels for"
        " this CPU that deviate: they sum in another order, which matters where weights or statistics are extreme. Set"
        f" {SWITCH}=0 for export-model and for whatever serves the SavedModel{instead}. diagnose-model names"
        " such layers"
    )
