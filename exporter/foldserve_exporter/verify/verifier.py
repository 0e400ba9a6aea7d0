"""Asks every candidate its batches, each reload in a fresh process, and judges the answers."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Signature

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

    def verify(
        self, folded: NamedModel, artifacts: Path, keras_file: Path, workers: tuple[Worker, ...], progress: Progress
    ) -> Verification:
        """Judges the folded model in this process, and every artifact in the workers' while it does so."""
        return self.judge(folded, candidates_of(artifacts, keras_file), workers, progress)

    def judge(
        self, folded: NamedModel, candidates: tuple[Candidate, ...], workers: tuple[Worker, ...], progress: Progress
    ) -> Verification:
        """As `verify`, of any artifacts: the folded model's two verdicts, then one for each candidate, in order."""
        with tempfile.TemporaryDirectory(prefix="foldserve-verify-") as name:
            folder = Path(name)
            Job(candidates, self.signature, self.rows, self.custom_objects, self.trust_code).write(folder)
            for worker in workers:
                worker.give(folder)
            progress("folded model, phases 0 and 1")
            batches = plan_briefly(self.rows)
            phase_0 = ask(traced(folded, training=False), self.rows, batches)
            phase_1 = ask(traced(folded, training=True), self.rows, batches)
            progress("reloads in fresh processes")
            ends = {worker.kind: worker.wait() for worker in workers}
            verdicts = [
                self._judge("folded model, phase 0", phase_0, batches),
                self._judge("folded model, phase 1", phase_1, batches, phase_0),
            ]
            for candidate in candidates:
                end = ends.get(candidate.kind.worker, "no process was started for it")
                verdicts.append(self._judge_reload(folder, candidate, phase_0, end))
        return Verification(tuple(verdicts), self.rows.judged)

    def _judge(
        self, name: str, answers: Answers, batches: tuple[Batch, ...], exact_as: Answers | None = None
    ) -> CandidateVerdict:
        return judge(name, answers, batches, self.reference, self.signature, exact_as)

    def _judge_reload(self, folder: Path, candidate: Candidate, phase_0: Answers, end: str | None) -> CandidateVerdict:
        batches = candidate.batches(self.rows)
        answers = read_answers(folder, candidate, len(batches))
        if answers is None:
            reason = read_error(folder, candidate) or end or "it left no answer"
            return CandidateVerdict(candidate.name, {}, (f"it does not answer: {reason}",), None)
        same_runtime = candidate.kind is not CandidateKind.ONNX
        return self._judge(candidate.name, answers, batches, phase_0 if same_runtime else None)


def candidates_of(artifacts: Path, keras_file: Path) -> tuple[Candidate, ...]:
    """Every artifact of an export in every setting that is verified."""
    keras_path, onnx_path = str(keras_file), str(artifacts / ONNX)
    return (
        Candidate("saved_model", "tensorflow, SavedModel", CandidateKind.SAVED_MODEL, str(artifacts), served=True),
        Candidate("keras_0", "Keras reload, phase 0", CandidateKind.KERAS, keras_path),
        Candidate("keras_1", "Keras reload, phase 1", CandidateKind.KERAS, keras_path, training=True),
        Candidate("onnx_plain", "onnxruntime, not optimised", CandidateKind.ONNX, onnx_path, optimise=False),
        Candidate("onnx", "onnxruntime, optimised", CandidateKind.ONNX, onnx_path, served=True),
    )
