"""Golden samples: inputs, and the outputs that every engine must reproduce."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import GoldenInvalid, TensorError
from .npz import write_npz
from .signature import Array, Arrays, Signature

MAX_BYTES = 1 << 30
_INPUT = "input/"
_OUTPUT = "output/"


@dataclass(frozen=True, slots=True)
class Golden:
    """Golden samples: inputs and outputs by name; the first dimension of each array is the sample."""

    inputs: Arrays
    outputs: Arrays

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(next(iter(self.inputs.values())).shape[0])

    def to_bytes(self) -> bytes:
        """Serializes to an uncompressed `.npz`, with the same bytes for the same samples."""
        arrays = {_INPUT + name: np.ascontiguousarray(array) for name, array in self.inputs.items()}
        arrays |= {_OUTPUT + name: np.ascontiguousarray(array) for name, array in self.outputs.items()}
        buffer = io.BytesIO()
        write_npz(buffer, arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, signature: Signature) -> "Golden":
        """Reads samples and checks them against the signature.

        Raises:
            GoldenInvalid: The file is not an `.npz` of plain arrays, is too large, holds no sample, or does not fit.
        """
        try:
            arrays = _read(content)
            golden = cls(_part(arrays, _INPUT), _part(arrays, _OUTPUT))
            rows = signature.check_inputs(golden.inputs)
            if rows == 0 or signature.check_outputs(golden.outputs) != rows:
                raise TensorError("inputs and outputs must have the same number of rows, and at least one")
        except (TensorError, ValueError, KeyError, EOFError, OSError, MemoryError, zipfile.BadZipFile) as error:
            raise GoldenInvalid(f"golden samples cannot be used: {error}") from error
        return golden

    @classmethod
    def read(cls, path: Path, signature: Signature) -> "Golden":
        """Reads samples from a file; see `from_bytes`."""
        return cls.from_bytes(path.read_bytes(), signature)


def _read(content: bytes) -> dict[str, Array]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"they take {size:,} bytes unpacked; at most {MAX_BYTES:,} are allowed")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _part(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
