"""Detection of a model file's format."""

import json
import zipfile
from enum import Enum
from pathlib import Path

from ..errors import CannotLoad

ACCEPTED = "a .keras file, a whole-model .h5 or .hdf5 file, or a SavedModel directory of Keras 2"

_HDF5 = b"\x89HDF\r\n\x1a\n"


class ModelFormat(Enum):
    """Formats in which Keras versions saved whole models."""

    ARCHIVE = "a .keras archive of Keras 3"
    LEGACY_ARCHIVE = "a .keras archive of tf.keras 2.12 to 2.15"
    H5 = "an HDF5 file"
    DIRECTORY = "a SavedModel directory"


def detect_format(path: Path) -> ModelFormat:
    """The format by the file's name, and for a `.keras` archive by the version that wrote it.

    Raises:
        CannotLoad: It has none of these formats; the message lists them.
    """
    if path.is_dir():
        return _directory(path)
    if not path.is_file():
        raise CannotLoad(f"{path} is not there; give {ACCEPTED}")
    suffix = path.suffix.lower()
    if path.name.endswith(".weights.h5"):
        raise CannotLoad(f"{path} holds weights alone, without the model; save the whole model with model.save()")
    if suffix in (".h5", ".hdf5") or (suffix == ".keras" and _is_hdf5(path)):  # tf.keras up to 2.12 wrote .keras so
        return ModelFormat.H5
    if suffix == ".keras":
        return ModelFormat.LEGACY_ARCHIVE if archive_version(path).startswith("2.") else ModelFormat.ARCHIVE
    raise CannotLoad(f"{path} has the ending {path.suffix!r}; give {ACCEPTED}")


def archive_version(path: Path) -> str:
    """The version of Keras that wrote a `.keras` archive; empty if it is not recorded or the file is not an archive."""
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
        raise CannotLoad(f"{path} is a directory without a saved_model.pb, so it is not a SavedModel; give {ACCEPTED}")
    return ModelFormat.DIRECTORY
