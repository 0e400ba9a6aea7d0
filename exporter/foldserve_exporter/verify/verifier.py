"""Runs every candidate on its batches, each reload in a fresh process, and judges the outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Signature

from ..load.modules import module_search_path
from ..naming import NamedModel
from ..samples.rows import VerificationRows
from ..tracing import TracedFunction, traced
from .batches import CandidateOutputs, VerificationBatch, plan_core_batches, run_batches
from .job import Candidate, CandidateKind, VerificationJob, read_error, read_outputs
from .judge import judge
from .onednn import onednn_explanation
from .reference import Reference, SizedReference
from .verdict import CandidateVerdict, Verification
from .worker_pool import VerificationWorker

DetailCallback = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Verifier:
    """Verifies candidates against the reference on the verification rows, and on `further` ones in other sizes."""

    reference: Reference
    rows: VerificationRows
    signature: Signature
    custom_objects: tuple[str, ...] = ()
    trust_code: bool = False
    further: tuple[SizedReference, ...] = ()

    @property
    def row_sets(self) -> tuple[VerificationRows, ...]:
        """The rows in each of their sizes."""
        return (self.rows, *(sized.rows for sized in self.further))

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
        VerificationJob(
            candidates, self.signature, self.rows, self.custom_objects, self.trust_code, search, self.row_sets[1:]
        ).write(folder)
        for worker in workers:
            worker.send_job(folder)
        return VerificationRun(self, candidates, workers, folder)

    def judge(
        self,
        name: str,
        answers: Sequence[CandidateOutputs],
        batches: tuple[VerificationBatch, ...],
        exact_as: Sequence[CandidateOutputs] | None = None,
    ) -> CandidateVerdict:
        """Judges a candidate's outputs in every size; `exact_as` are those they must equal bit for bit."""
        exact: Sequence[CandidateOutputs | None] = exact_as or [None] * len(answers)
        verdict = judge(name, answers[0], batches, self.reference, self.signature, exact[0])
        for sized, outputs, wanted in zip(self.further, answers[1:], exact[1:], strict=True):
            core = plan_core_batches(sized.rows)
            verdict = verdict.joined(sized.sizes, judge(name, outputs, core, sized.reference, self.signature, wanted))
        return verdict

    def judge_reload(
        self, folder: Path, candidate: Candidate, phase_0: Sequence[CandidateOutputs] | None, end: str | None
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
        planned = (batches, *(plan_core_batches(rows) for rows in self.row_sets[1:]))
        read = [read_outputs(folder, candidate, len(plan), number) for number, plan in enumerate(planned)]
        answers = [outputs for outputs in read if outputs is not None]
        if len(answers) < len(read):
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
        phase_0, phase_1 = (_run_all(traced(folded, training=phase), verifier.row_sets) for phase in (False, True))
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
        sizes = tuple(sized.sizes for sized in verifier.further)
        explanation = self._explanation(tuple(verdicts))
        return Verification(tuple(verdicts), verifier.rows.judged, explanation, sizes)

    def _explanation(self, verdicts: tuple[CandidateVerdict, ...]) -> str:
        folder = self.folder.with_name(f"{self.folder.name}-again")
        return onednn_explanation(self.verifier, self.candidates, verdicts, folder)


def _run_all(run: TracedFunction, row_sets: tuple[VerificationRows, ...]) -> list[CandidateOutputs]:
    """The first batches of the rows in each of their sizes."""
    return [run_batches(run, rows, plan_core_batches(rows)) for rows in row_sets]


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
