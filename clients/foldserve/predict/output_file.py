"""The output file, `.npz` or `.npy`."""

import itertools
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.signature import Signature

from .dataset import Dataset
from .errors import UsageError
from .partial_run import RunSpec
from .result_writer import ResultWriter
from .row_file import RowFile, header_of

RESERVED_NAMES = ("row_ok", "input_names", "input_rows", "model_name", "model_version")
_STEP = 4 << 20


def write_output(out: Path, run_spec: RunSpec, dataset: Dataset, writer: ResultWriter, folder: Path) -> None:
    """Writes the output file and moves it to its place in one step; until then an existing file stays."""
    if out.suffix == ".npy":
        (finished,) = (file.path for file in writer.outputs.values())
    else:
        finished = folder / "out.npz"
        _write_npz(finished, run_spec, dataset, writer)
    _sync(finished)
    finished.replace(out)


def check_output_names(out: Path, signature: Signature, wanted: Sequence[str]) -> None:
    """Checks that the output file can hold the outputs wanted.

    Raises:
        UsageError: The model has no output of that name, a `.npy` would hold several outputs, or an output has a name
            that the `.npz` uses itself.
    """
    available = [spec.name for spec in signature.outputs]
    names = list(wanted) or available
    if unknown := sorted(set(names) - set(available)):
        raise UsageError(f"the model has the outputs {available}, and not {unknown}")
    if out.suffix == ".npy" and len(names) != 1:
        raise UsageError(f"{out} can hold one output, the model has {names}; write .npz, or choose with --output NAME")
    if out.suffix == ".npz" and (taken := sorted(set(names) & set(RESERVED_NAMES))):
        raise UsageError(f"the outputs {taken} have names that the .npz uses itself; choose others with --output NAME")


def _write_npz(path: Path, run_spec: RunSpec, dataset: Dataset, writer: ResultWriter) -> None:
    names = list(dataset.names)
    width = max(map(len, names))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, file in sorted(writer.outputs.items()):
            _add_rows(archive, name, file)
        _add_rows(archive, "row_ok", writer.ok)
        _add(archive, "input_names", np.dtype(f"<U{width}"), (len(names),), _encoded(names, f"<U{width}"))
        _add(archive, "input_rows", np.dtype("<i8"), (len(names),), _encoded(dataset.rows_by_name, "<i8"))
        _add(archive, "model_name", np.dtype(f"<U{len(run_spec.model)}"), (), [np.array(run_spec.model).tobytes()])
        _add(archive, "model_version", np.dtype("<i8"), (), [np.array(run_spec.version, "<i8").tobytes()])


def _add_rows(archive: zipfile.ZipFile, name: str, file: RowFile) -> None:
    step = max(1, _STEP // max(1, file.row_bytes))
    pieces = (file.read(start, min(start + step, file.shape[0])).data for start in range(0, file.shape[0], step))
    _add(archive, name, file.dtype, file.shape, pieces)


def _add(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    pieces: Iterable[bytes | memoryview],
) -> None:
    entry = zipfile.ZipInfo(f"{name}.npy")  # always dated 1980, so that the same run gives the same bytes
    with archive.open(entry, "w", force_zip64=True) as member:
        member.write(header_of(dtype, shape))
        for piece in pieces:
            member.write(piece)


def _encoded(values: Iterable[Any], dtype: str) -> Iterator[bytes]:
    iterator = iter(values)
    while piece := list(itertools.islice(iterator, 10_000)):
        yield np.array(piece, dtype).tobytes()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
