"""Labels read from files."""

import zipfile
from pathlib import Path

import numpy as np

from foldserve_contract.signature import Array

from ..samples.files import unreadable_reason
from .scores import LabelsError


def read_labels(path: Path) -> Array | dict[str, Array]:
    """Reads labels from an `.npy`, or from an `.npz` with one array per output.

    Raises:
        LabelsError: The file is missing or unreadable.
    """
    try:
        if path.suffix == ".npy":
            labels: Array = np.load(path, allow_pickle=False)
            return labels
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise LabelsError(f"{path} cannot be read as labels: {unreadable_reason(error)}") from error
    raise LabelsError(f"{path} is neither an .npz nor an .npy file")
