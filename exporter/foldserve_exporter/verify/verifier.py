"""Runs every candidate on its batches, each reload in a fresh process, and judges the outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Signature

from ..load.modules import module_search_path
from ..naming import NamedModel
from ..samples.rows import VerificationRows
from ..tracing import traced
from .batches import CandidateOutputs, VerificationBatch, plan_core_batches, run_batches
from .job import Candidate, CandidateKind, VerificationJob, read_error, read_outputs
from .judge import judge
from .onednn import onednn_explanation
from .reference import Reference
from .verdict import CandidateVerdict, Verification
from .worker_pool import VerificationWorker

DetailCallback = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Verifier:
    """Verifies candidates against the reference on the verification rows."""

    reference: Reference
    rows: VerificationRows
    signature: Signature
    custom_objects: tuple[str, ...] = ()
    trust_code: bool = False

    def start(
        self, candidates: tuple[Candidate, ...], workers: tuple[VerificationWorker, ...], folder: Path
    ) -> "VerificationRun":
        """Starts the verification in the worker processes and returns at once.

        Args:
            candidates: The artifacts in their settings.
            workers: The processes.
            folder: Made for the job and its results.
        """
        folder.mkdir()
        search = module_search_path() if self.custom_objects else ()
        VerificationJob(candidates, self.signature, self.rows, self.custom_objects, self.trust_code, search).write(
            folder
        )
        for worker in workers:
            worker.send_job(folder)
        return VerificationRun(self, candidates, workers, folder)

    def judge(
        self,
        name: str,
        answers: CandidateOutputs,
        batches: tuple[VerificationBatch, ...],
        exact_as: CandidateOutputs | None = None,
    ) -> CandidateVerdict:
        """Judges a candidate's outputs; `exact_as` are those they must equal bit for bit."""
        return judge(name, answers, batches, self.reference, self.signature, exact_as)

    def judge_reload(
        self, folder: Path, candidate: Candidate, phase_0: CandidateOutputs | None, end: str | None
    ) -> CandidateVerdict:
        """Judges the outputs that a worker process left in the folder.

        Args:
            folder: The folder of the job.
            candidate: The reloaded artifact.
            phase_0: The folded model's outputs in phase 0, which a reload in the same runtime must equal bit for bit;
                None where it need not.
            end: The message of a process that ended badly.
        """
        batches = candidate.batches(self.rows)
        answers = read_outputs(folder, candidate, len(batches))
        if answers is None:
            reason = read_error(folder, candidate) or end or "it left no answer"
            return CandidateVerdict(candidate.name, {}, (f"it does not answer: {reason}",), None)
        same_runtime = candidate.kind is not CandidateKind.ONNX
        return self.judge(candidate.name, answers, batches, phase_0 if same_runtime else None)


@dataclass(frozen=True, slots=True, eq=False)
class VerificationRun:
    """A verification in progress."""

    verifier: Verifier
    candidates: tuple[Candidate, ...]
    workers: tuple[VerificationWorker, ...]
    folder: Path

    def finish(self, folded: NamedModel, progress: DetailCallback) -> Verification:
        """Runs the folded model, waits for the workers, and judges the model's two phases, then every candidate."""
        verifier = self.verifier
        progress("folded model, phases 0 and 1")
        batches = plan_core_batches(verifier.rows)
        phase_0 = run_batches(traced(folded, training=False), verifier.rows, batches)
        phase_1 = run_batches(traced(folded, training=True), verifier.rows, batches)
        progress("reloads in fresh processes")
        ends = {worker.kind: worker.wait() for worker in self.workers}
        verdicts = [
            verifier.judge("folded model, phase 0", phase_0, batches),
            verifier.judge("folded model, phase 1", phase_1, batches, phase_0),
        ]
        for candidate in self.candidates:
            # a process may die after some outputs: its other candidates are refused with the reason of its end
            end = ends.get(candidate.kind.worker, "no process was started for it")
            verdicts.append(verifier.judge_reload(self.folder, candidate, phase_0, end))
        return Verification(tuple(verdicts), verifier.rows.judged, self._explanation(tuple(verdicts)))

    def _explanation(self, verdicts: tuple[CandidateVerdict, ...]) -> str:
        folder = self.folder.with_name(f"{self.folder.name}-again")
        return onednn_explanation(self.verifier, self.candidates, verdicts, folder)


def candidates_of(artifacts: Path, keras_file: Path | None) -> tuple[Candidate, ...]:
    """Candidates of an export: every artifact in every setting that is verified."""
    onnx_path = str(artifacts / ONNX)
    return (
        Candidate("saved_model", "tensorflow, SavedModel", CandidateKind.SAVED_MODEL, str(artifacts), served=True),
        *(() if keras_file is None else _reloads(str(keras_file))),
        Candidate("onnx_plain", "onnxruntime, not optimised", CandidateKind.ONNX, onnx_path, optimise=False),
        Candidate("onnx", "onnxruntime, optimised", CandidateKind.ONNX, onnx_path, served=True),
    )


def _reloads(keras_path: str) -> tuple[Candidate, ...]:
    return (
        Candidate("keras_0", "Keras reload, phase 0", CandidateKind.KERAS, keras_path),
        Candidate("keras_1", "Keras reload, phase 1", CandidateKind.KERAS, keras_path, training=True),
    )
