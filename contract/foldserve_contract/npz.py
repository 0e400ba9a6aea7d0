"""Arrays by name, as a file that `numpy.load` reads."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of a ZIP file's time: the same bytes for the same arrays


def write_npz(target: IO[bytes] | Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Writes an uncompressed `.npz` of plain arrays.

    `numpy.savez` takes names for its own arguments: it fails at an array called `file`, and where NumPy is
    older it writes its argument `allow_pickle` down as one.

    Raises:
        ValueError: An array holds Python objects.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _BEGINNING), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
