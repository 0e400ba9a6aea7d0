"""Asks every candidate its batches, each reload in a fresh process, and judges the answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Signature

from ..load.modules import module_search_path
from ..naming import NamedModel
from ..samples.rows import VerificationRows
from ..tracing import traced
from .batches import Answers, Batch, ask, plan_briefly
from .job import Candidate, CandidateKind, Job, read_answers, read_error
from .judge import judge
from .reference import Reference
from .verdict import CandidateVerdict, Verification
from .workers import Worker

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Verifier:
    """Everything candidates are compared with."""

    reference: Reference
    rows: VerificationRows
    signature: Signature
    custom_objects: tuple[str, ...] = ()
    trust_code: bool = False

    def begin(self, candidates: tuple[Candidate, ...], workers: tuple[Worker, ...], folder: Path) -> "Trial":
        """Has the fresh processes load and ask every candidate, while this one does something else.

        Args:
            candidates: The artifacts in their settings.
            workers: The processes.
            folder: Made for the questions and the answers.
        """
        folder.mkdir()
        search = module_search_path() if self.custom_objects else ()
        Job(candidates, self.signature, self.rows, self.custom_objects, self.trust_code, search).write(folder)
        for worker in workers:
            worker.give(folder)
        return Trial(self, candidates, workers, folder)

    def judge(
        self, name: str, answers: Answers, batches: tuple[Batch, ...], exact_as: Answers | None = None
    ) -> CandidateVerdict:
        """The verdict over answers; `exact_as` are those it must equal bit for bit."""
        return judge(name, answers, batches, self.reference, self.signature, exact_as)

    def judge_reload(self, folder: Path, candidate: Candidate, phase_0: Answers, end: str | None) -> CandidateVerdict:
        """The verdict over what a fresh process left in the folder; `end` says how that process ended if not well."""
        batches = candidate.batches(self.rows)
        answers = read_answers(folder, candidate, len(batches))
        if answers is None:
            reason = read_error(folder, candidate) or end or "it left no answer"
            return CandidateVerdict(candidate.name, {}, (f"it does not answer: {reason}",), None)
        same_runtime = candidate.kind is not CandidateKind.ONNX
        return self.judge(candidate.name, answers, batches, phase_0 if same_runtime else None)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A verification under way."""

    verifier: Verifier
    candidates: tuple[Candidate, ...]
    workers: tuple[Worker, ...]
    folder: Path

    def conclude(self, folded: NamedModel, progress: Progress) -> Verification:
        """The folded model's two verdicts, from this process, then one for each candidate, in order."""
        verifier = self.verifier
        progress("folded model, phases 0 and 1")
        batches = plan_briefly(verifier.rows)
        phase_0 = ask(traced(folded, training=False), verifier.rows, batches)
        phase_1 = ask(traced(folded, training=True), verifier.rows, batches)
        progress("reloads in fresh processes")
        ends = {worker.kind: worker.wait() for worker in self.workers}
        verdicts = [
            verifier.judge("folded model, phase 0", phase_0, batches),
            verifier.judge("folded model, phase 1", phase_1, batches, phase_0),
        ]
        for candidate in self.candidates:
            end = ends.get(candidate.kind.worker, "no process was started for it")
            verdicts.append(verifier.judge_reload(self.folder, candidate, phase_0, end))
        return Verification(tuple(verdicts), verifier.rows.judged)


def candidates_of(artifacts: Path, keras_file: Path | None) -> tuple[Candidate, ...]:
    """Every artifact of an export in every setting that is verified."""
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
