"""An unfinished run on disk: its specification, its progress and its results so far."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from foldserve_contract.records import RecordError, from_json, to_json

from .errors import UsageError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Specification of a run. Two runs with the same specification end with the same file.

    Attributes:
        format: Format of the folder.
        model: The model's name.
        version: The version that predicts every row.
        signature: The entry point.
        interface: The signature's inputs and outputs, as text.
        outputs: Names of the outputs wanted; empty for all.
        batch: Rows in one request; the batch may change the last bits of a prediction.
        imaging: The options of images' conversion, as text.
        inputs: The data set's fingerprint.
        rows: The data set's number of rows.
    """

    format: int
    model: str
    version: int
    signature: str
    interface: str
    outputs: tuple[str, ...]
    batch: int
    imaging: str
    inputs: str
    rows: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Progress of a run; rows written beyond it are written again.

    Attributes:
        rows: Number of rows done, from the first.
        failed: Number of these rows without a prediction.
        errors_bytes: Length of the list of failures.
    """

    rows: int = 0
    failed: int = 0
    errors_bytes: int = 0


class PartialRun:
    """The folder `OUT.partial`, locked by one process at a time."""

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".partial")
        self._lock = self._acquire()

    @property
    def errors(self) -> Path:
        """The list of failures so far."""
        return self.folder / "errors.jsonl"

    def run_spec(self) -> RunSpec | None:
        """The specification of the unfinished run; None if there is nothing to resume.

        Raises:
            UsageError: The folder was written by another version of foldserve.
        """
        run_spec: RunSpec | None = self._read("job.json", RunSpec)
        return run_spec if run_spec is not None and self._is_whole() else None

    def begin(self, run_spec: RunSpec) -> None:
        """Clears the folder and begins a new run."""
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()
        self._write("job.json", to_json(run_spec))

    def progress(self) -> RunProgress:
        """The progress saved last."""
        return self._read("progress.json", RunProgress) or RunProgress()

    def save(self, progress: RunProgress) -> None:
        """Saves the progress; all rows up to it must be on the disk already."""
        self._write("progress.json", to_json(progress))

    def outputs(self) -> Mapping[str, str]:
        """The file of each output, by name; empty until the first prediction."""
        path = self.folder / "outputs.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def save_outputs(self, files: Mapping[str, str]) -> None:
        """Saves the file of each output, by name."""
        self._write("outputs.json", dict(files))

    def __enter__(self) -> "PartialRun":
        return self

    def __exit__(self, *error: object) -> None:
        """Unlocks the folder, and removes it if no run has begun in it."""
        if not self._lock.closed and not (self.folder / "job.json").exists():
            shutil.rmtree(self.folder)
        self._lock.close()

    def remove(self) -> None:
        """Removes the folder of a finished run."""
        shutil.rmtree(self.folder)
        self._lock.close()

    def _is_whole(self) -> bool:
        return all((self.folder / file).exists() for file in self.outputs().values())

    def _acquire(self) -> IO[str]:
        try:
            self.folder.mkdir(exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise UsageError(f"cannot write beside the output, in {self.folder}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise UsageError(f"another predict-model is at work in {self.folder}; wait for it or end it") from None
        return lock

    def _read(self, name: str, kind: type[Any]) -> Any:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return from_json(kind, json.loads(path.read_text()))
        except (RecordError, ValueError) as error:
            raise UsageError(
                f"{path} cannot be read ({error}); begin again with --restart, or finish it with the foldserve"
                f" that began it"
            ) from None

    def _write(self, name: str, value: Any) -> None:
        path, new = self.folder / name, self.folder / f"{name}.new"
        with new.open("w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def check_same(before: RunSpec, now: RunSpec) -> None:
    """Checks that a run may be resumed.

    Raises:
        UsageError: It would not end with the same file; the message lists the differences.
    """
    if before == now:
        return
    differ = [field.name for field in fields(RunSpec) if getattr(before, field.name) != getattr(now, field.name)]
    differences = ", ".join(
        "inputs (other files, or changed since)"
        if name == "inputs"
        else f"{name} ({getattr(before, name)} before, {getattr(now, name)} now)"
        for name in differ
    )
    raise UsageError(
        f"an unfinished run differs from this one in {differences}; resume it as it was, or begin with --restart"
    )


def advanced(progress: RunProgress, rows: int, failed: int, errors_bytes: int) -> RunProgress:
    """The progress after more rows."""
    return replace(progress, rows=rows, failed=progress.failed + failed, errors_bytes=errors_bytes)
