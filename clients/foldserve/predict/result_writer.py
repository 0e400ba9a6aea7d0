"""Writing of predictions and failures to the folder of an unfinished run."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from foldserve_contract.signature import Array, Signature

from ..core.prediction import Prediction
from .errors import ServerFailed
from .input_source import RowFailure
from .partial_run import PartialRun, advanced
from .row_file import RowFile, create, reopen

OK_FILE = "row_ok.npy"


class ResultWriter:
    """Writes batches in order, and saves the progress every `save_every` seconds."""

    def __init__(
        self,
        partial: PartialRun,
        rows: int,
        save_every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partial = partial
        self._rows = rows
        self._save_every = save_every
        self._clock = clock
        self._saved_at = clock()
        self.progress = partial.progress()
        self._errors = partial.errors.open("ab")
        self._errors.truncate(self.progress.errors_bytes)
        ok = partial.folder / OK_FILE
        self.ok = reopen(ok) if ok.exists() else create(ok, np.dtype(bool), (rows,))
        self.outputs: dict[str, RowFile] = {
            name: reopen(partial.folder / file) for name, file in partial.outputs().items()
        }

    def predictions(self, rows: Sequence[int], prediction: Prediction) -> None:
        """Writes the predictions of some rows.

        Raises:
            ServerFailed: The outputs do not have the shape and dtype of the outputs before.
        """
        # the first prediction decides the files' shapes and dtypes; nothing is written before all outputs fit
        if not self.outputs:
            self._create({name: array.shape[1:] for name, array in prediction.outputs.items()}, prediction.outputs)
        for name, array in prediction.outputs.items():
            self._check(name, array, len(rows))
        for name, array in prediction.outputs.items():
            for first, chunk in _runs(rows, array):
                self.outputs[name].write(first, chunk)
        # rows are marked last, so that a marked row has all its outputs
        for first, chunk in _runs(rows, np.ones(len(rows), bool)):
            self.ok.write(first, chunk)

    def end_batch(self, stop: int, failures: Sequence[RowFailure]) -> None:
        """Ends a batch: all rows before `stop` are written or among the failures."""
        for failure in failures:
            self.ok.write(failure.row, np.zeros(1, bool))  # a killed run may have written further
            self._errors.write(json.dumps(asdict(failure)).encode() + b"\n")
        self.progress = advanced(self.progress, stop, len(failures), self._errors.tell())
        if self._clock() - self._saved_at >= self._save_every:
            self.save()

    def save(self) -> None:
        """Saves the progress, from which a killed run resumes."""
        for file in (self.ok, *self.outputs.values()):
            file.sync()
        self._errors.flush()
        os.fsync(self._errors.fileno())
        self._partial.save(self.progress)
        self._saved_at = self._clock()

    def finish(self, signature: Signature, wanted: Sequence[str]) -> None:
        """Fills rows without a prediction with NaN (integers: 0); creates the files if no row has a prediction."""
        if not self.outputs:
            specs = [spec for spec in signature.outputs if not wanted or spec.name in wanted]
            shapes = {spec.name: tuple(max(0, size) for size in spec.row_shape) for spec in specs}
            self._create(shapes, {spec.name: np.empty(0, spec.dtype) for spec in specs})
        for file in self.outputs.values():
            if self.progress.failed:
                self._fill(file)
        self.save()

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Closes the files; the progress of an interrupted run is saved."""
        if kind is not None:
            self.save()
        for file in (self.ok, *self.outputs.values()):
            file.handle.close()
        self._errors.close()

    def _fill(self, file: RowFile) -> None:
        blank = np.full((1, *file.shape[1:]), np.nan if file.dtype.kind == "f" else 0, file.dtype)
        for start in range(0, self._rows, 1 << 20):
            ok = self.ok.read(start, min(start + (1 << 20), self._rows))
            for row in np.flatnonzero(~ok):
                file.write(start + int(row), blank)

    def _create(self, row_shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, Array]) -> None:
        files = {name: f"output-{number}.npy" for number, name in enumerate(sorted(row_shapes))}
        for name, file in files.items():
            dtype = arrays[name].dtype.newbyteorder("<")
            self.outputs[name] = create(self._partial.folder / file, dtype, (self._rows, *row_shapes[name]))
        self._partial.save_outputs(files)

    def _check(self, name: str, array: Array, rows: int) -> None:
        file = self.outputs.get(name)
        if file is None or array.shape != (rows, *file.shape[1:]) or array.dtype != file.dtype:
            raise ServerFailed(
                f"output {name!r}: expected {rows} rows of {file and (list(file.shape[1:]), file.dtype.name)}, received"
                f" {list(array.shape)} {array.dtype.name}; an output file holds rows of one shape and dtype"
            )


def _runs(rows: Sequence[int], array: Array) -> list[tuple[int, Array]]:
    """Splits rows where their numbers are not consecutive; gives the first number of each run."""
    numbers = np.asarray(rows)
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = zip(np.split(numbers, cuts), np.split(array, cuts), strict=True)
    return [(int(run[0]), chunk) for run, chunk in runs if run.size]
