"""What passes between the verifier and its fresh processes: plain JSON and arrays in a folder."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from foldserve_contract.arrays import write_npz
from foldserve_contract.records import from_json, to_json
from foldserve_contract.signature import Signature

from ..samples.rows import VerificationRows
from .batches import CandidateOutputs, VerificationBatch, plan_batches, plan_core_batches


class WorkerKind(StrEnum):
    """Which libraries a fresh process imports."""

    TENSORFLOW = "tensorflow"
    ONNXRUNTIME = "onnxruntime"


class CandidateKind(StrEnum):
    """How an artifact is loaded."""

    SAVED_MODEL = "saved_model"
    KERAS = "keras"
    ONNX = "onnx"

    @property
    def worker(self) -> WorkerKind:
        """The process that loads it."""
        return WorkerKind.ONNXRUNTIME if self is CandidateKind.ONNX else WorkerKind.TENSORFLOW


@dataclass(frozen=True, slots=True)
class Candidate:
    """One artifact in one setting.

    Attributes:
        key: Names its files in the job's folder.
        name: What reports call it.
        kind: How it is loaded.
        path: The file or directory.
        training: Whether it is called in learning phase 1.
        optimise: Whether the engine may optimise its graph.
        served: Whether a server answers with it, so that every row is asked alone as well.
    """

    key: str
    name: str
    kind: CandidateKind
    path: str
    training: bool = False
    optimise: bool = True
    served: bool = False

    def batches(self, rows: VerificationRows) -> tuple[VerificationBatch, ...]:
        """What it is asked."""
        return plan_batches(rows) if self.served else plan_core_batches(rows)


@dataclass(frozen=True, slots=True)
class _JobRecord:
    candidates: tuple[Candidate, ...]
    signature: Signature
    judged: int
    golden: int
    stretched: int
    custom_objects: tuple[str, ...]
    trust_code: bool
    search: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class VerificationJob:
    """Everything a fresh process needs to know.

    Attributes:
        candidates: The artifacts in their settings.
        signature: The model's.
        rows: What to ask.
        custom_objects: Modules of the user's own to import before a Keras reload.
        trust_code: Whether Lambda layers may run.
        search: Where such modules are found, beside where a fresh process looks.
    """

    candidates: tuple[Candidate, ...]
    signature: Signature
    rows: VerificationRows
    custom_objects: tuple[str, ...] = ()
    trust_code: bool = False
    search: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Writes the job for the workers to read."""
        plan = _JobRecord(
            self.candidates,
            self.signature,
            self.rows.judged,
            self.rows.golden,
            self.rows.stretched,
            self.custom_objects,
            self.trust_code,
            self.search,
        )
        (folder / "job.json").write_text(json.dumps(to_json(plan)), encoding="utf-8")
        write_npz(folder / "rows.npz", self.rows.inputs)

    @classmethod
    def read(cls, folder: Path) -> "VerificationJob":
        """Reads what `write` wrote."""
        plan = from_json(_JobRecord, json.loads((folder / "job.json").read_text(encoding="utf-8")))
        with np.load(folder / "rows.npz", allow_pickle=False) as archive:
            inputs = {name: archive[name] for name in archive.files}
        rows = VerificationRows(inputs, plan.judged, plan.golden, plan.stretched)
        return cls(plan.candidates, plan.signature, rows, plan.custom_objects, plan.trust_code, plan.search)


def write_answers(folder: Path, candidate: Candidate, answers: CandidateOutputs) -> None:
    """Keeps a candidate's answers for the verifier."""
    arrays = {f"{index}/{name}": array for index, batch in enumerate(answers.outputs) for name, array in batch.items()}
    write_npz(folder / f"{candidate.key}.npz", arrays)


def read_answers(folder: Path, candidate: Candidate, batches: int) -> CandidateOutputs | None:
    """A candidate's answers, or None where it left none."""
    path = folder / f"{candidate.key}.npz"
    if not path.exists():
        return None
    outputs: list[dict[str, np.ndarray]] = [{} for _ in range(batches)]
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            index, _, name = key.partition("/")
            outputs[int(index)][name] = archive[key]
    return CandidateOutputs(tuple(outputs))


def write_error(folder: Path, candidate: Candidate, message: str) -> None:
    """Keeps why a candidate did not answer."""
    (folder / f"{candidate.key}.error").write_text(message, encoding="utf-8")


def read_error(folder: Path, candidate: Candidate) -> str | None:
    """Why a candidate did not answer, where it said so."""
    path = folder / f"{candidate.key}.error"
    return path.read_text(encoding="utf-8") if path.exists() else None
