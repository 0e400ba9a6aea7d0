"""What kind of model file a path is."""

import json
import zipfile
from enum import Enum
from pathlib import Path

from ..errors import CannotLoad

ACCEPTED = "a .keras file, a whole-model .h5 or .hdf5 file, or a SavedModel directory of Keras 2"

_HDF5 = b"\x89HDF\r\n\x1a\n"


class ModelFormat(Enum):
    """The ways in which Keras saved whole models over the years."""

    ARCHIVE = "a .keras archive of Keras 3"
    LEGACY_ARCHIVE = "a .keras archive of tf.keras 2.12 to 2.15"
    H5 = "an HDF5 file"
    DIRECTORY = "a SavedModel directory"


def detect_format(path: Path) -> ModelFormat:
    """Looks at the name, and into a `.keras` archive for the version that wrote it.

    Raises:
        CannotLoad: It is none of these; the message says what is read.
    """
    if path.is_dir():
        return _directory(path)
    if not path.is_file():
        raise CannotLoad(f"{path} is not there; give {ACCEPTED}")
    ending = path.suffix.lower()
    if path.name.endswith(".weights.h5"):
        raise CannotLoad(f"{path} holds weights alone, without the model; save the whole model with model.save()")
    if ending in (".h5", ".hdf5") or (ending == ".keras" and _is_hdf5(path)):  # tf.keras up to 2.12 wrote .keras so
        return ModelFormat.H5
    if ending == ".keras":
        return ModelFormat.LEGACY_ARCHIVE if archive_version(path).startswith("2.") else ModelFormat.ARCHIVE
    raise CannotLoad(f"{path} has the ending {path.suffix!r}; give {ACCEPTED}")


def archive_version(path: Path) -> str:
    """The Keras that wrote a `.keras` archive; empty where the archive does not say or is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("metadata.json").file_size > 1 << 20:
                return ""
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError):
        return ""


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HDF5)) == _HDF5


def _directory(path: Path) -> ModelFormat:
    if not (path / "saved_model.pb").is_file():
        raise CannotLoad(f"{path} is a directory without a saved_model.pb, so no SavedModel; give {ACCEPTED}")
    return ModelFormat.DIRECTORY
