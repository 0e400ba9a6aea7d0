"""Writing of `.npz` files, with any names of arrays and with reproducible bytes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

_DATE = (1980, 1, 1, 0, 0, 0)  # the first date of the ZIP format: the same bytes for the same arrays


def write_npz(target: IO[bytes] | Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Writes an uncompressed `.npz` of plain arrays.

    Replaces `numpy.savez`, which confuses names of arrays with its own arguments: it fails for an array called `file`,
    and older releases write the argument `allow_pickle` as an array.

    Raises:
        ValueError: An array holds Python objects.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _DATE), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
