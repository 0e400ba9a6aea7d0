"""Messages between the verifier and its worker processes: plain JSON and arrays in a folder."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from foldserve_contract.npz import write_npz
from foldserve_contract.records import from_json, to_json
from foldserve_contract.signature import Signature

from ..samples.rows import VerificationRows
from .batches import CandidateOutputs, VerificationBatch, plan_batches, plan_core_batches


class WorkerKind(StrEnum):
    """Kind of a worker process: the library it imports."""

    TENSORFLOW = "tensorflow"
    ONNXRUNTIME = "onnxruntime"


class CandidateKind(StrEnum):
    """Kind of a candidate: the loader it needs."""

    SAVED_MODEL = "saved_model"
    KERAS = "keras"
    ONNX = "onnx"

    @property
    def worker(self) -> WorkerKind:
        """The kind of the process that loads it."""
        return WorkerKind.ONNXRUNTIME if self is CandidateKind.ONNX else WorkerKind.TENSORFLOW


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate for publication: an artifact in one setting.

    Attributes:
        key: Stem of its files' names in the job's folder.
        name: Its name in reports.
        kind: The loader it needs.
        path: The file or directory.
        training: Whether it is called in learning phase 1.
        optimise: Whether the engine may optimise its graph.
        served: Whether servers run it, so that it is run on every row alone as well.
    """

    key: str
    name: str
    kind: CandidateKind
    path: str
    training: bool = False
    optimise: bool = True
    served: bool = False

    def batches(self, rows: VerificationRows) -> tuple[VerificationBatch, ...]:
        """The batches to run it on."""
        return plan_batches(rows) if self.served else plan_core_batches(rows)


@dataclass(frozen=True, slots=True)
class _RowCounts:
    """The part of verification rows that is not an array."""

    judged: int
    golden: int
    stretched: int


@dataclass(frozen=True, slots=True)
class _JobRecord:
    """The part of a job that is written as JSON; the rows' arrays are a file of their own."""

    candidates: tuple[Candidate, ...]
    signature: Signature
    rows: tuple["_RowCounts", ...]
    custom_objects: tuple[str, ...]
    trust_code: bool
    search: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class VerificationJob:
    """The work of a worker process: candidates, and the rows to run them on.

    Attributes:
        candidates: The artifacts in their settings.
        signature: The model's.
        rows: The rows to run them on.
        custom_objects: The user's modules to import before a Keras reload.
        trust_code: Whether Lambda layers may run.
        search: Directories to add to the module search path.
        further: Rows in other sizes, to run them on in the first batches alone.
    """

    candidates: tuple[Candidate, ...]
    signature: Signature
    rows: VerificationRows
    custom_objects: tuple[str, ...] = ()
    trust_code: bool = False
    search: tuple[str, ...] = ()
    further: tuple[VerificationRows, ...] = ()

    def batches(self, candidate: Candidate) -> tuple[tuple[VerificationRows, tuple[VerificationBatch, ...]], ...]:
        """The rows in each of their sizes, with the batches to run a candidate on."""
        return ((self.rows, candidate.batches(self.rows)), *((rows, plan_core_batches(rows)) for rows in self.further))

    def write(self, folder: Path) -> None:
        """Writes the job for the workers to read."""
        counts = tuple(_RowCounts(rows.judged, rows.golden, rows.stretched) for rows in (self.rows, *self.further))
        record = _JobRecord(self.candidates, self.signature, counts, self.custom_objects, self.trust_code, self.search)
        (folder / "job.json").write_text(json.dumps(to_json(record)), encoding="utf-8")
        for number, rows in enumerate((self.rows, *self.further)):
            write_npz(folder / f"rows_{number}.npz", rows.inputs)

    @classmethod
    def read(cls, folder: Path) -> "VerificationJob":
        """Reads what `write` wrote."""
        record = from_json(_JobRecord, json.loads((folder / "job.json").read_text(encoding="utf-8")))
        rows, *further = (
            _read_rows(folder / f"rows_{number}.npz", counts) for number, counts in enumerate(record.rows)
        )
        return cls(
            record.candidates, record.signature, rows, record.custom_objects, record.trust_code, record.search,
            tuple(further),
        )  # fmt: skip


def _read_rows(path: Path, counts: _RowCounts) -> VerificationRows:
    with np.load(path, allow_pickle=False) as archive:
        inputs = {name: archive[name] for name in archive.files}
    return VerificationRows(inputs, counts.judged, counts.golden, counts.stretched)


def write_outputs(folder: Path, candidate: Candidate, answers: CandidateOutputs, number: int = 0) -> None:
    """Writes a candidate's outputs for the rows of this number, for the verifier."""
    arrays = {f"{index}/{name}": array for index, batch in enumerate(answers.outputs) for name, array in batch.items()}
    write_npz(folder / f"{candidate.key}_{number}.npz", arrays)


def read_outputs(folder: Path, candidate: Candidate, batches: int, number: int = 0) -> CandidateOutputs | None:
    """Reads a candidate's outputs for the rows of this number; None where the worker wrote none."""
    path = folder / f"{candidate.key}_{number}.npz"
    if not path.exists():
        return None
    outputs: list[dict[str, np.ndarray]] = [{} for _ in range(batches)]
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            index, _, name = key.partition("/")
            outputs[int(index)][name] = archive[key]
    return CandidateOutputs(tuple(outputs))


def write_error(folder: Path, candidate: Candidate, message: str) -> None:
    """Writes the error of a candidate that could not be run."""
    (folder / f"{candidate.key}.error").write_text(message, encoding="utf-8")


def read_error(folder: Path, candidate: Candidate) -> str | None:
    """Reads the error of a candidate; None where the worker wrote none."""
    path = folder / f"{candidate.key}.error"
    return path.read_text(encoding="utf-8") if path.exists() else None
