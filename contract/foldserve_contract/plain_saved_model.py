"""A SavedModel directory without a manifest, as TensorFlow Serving takes it: nothing in it was verified."""

import hashlib
from pathlib import Path

from .bundle import MANIFEST, SAVED_MODEL
from .repository import path_exists


def is_plain(path: Path) -> bool:
    """Whether the version directory holds a SavedModel and is not a bundle; not where nothing can be read in it."""
    return path_exists(path / SAVED_MODEL) and not path_exists(path / MANIFEST)


def plain_digest(path: Path) -> str:
    """The identity of what lies there: SHA-256 of the graph's bytes, and of name, size and time of every other file.

    Raises:
        OSError: It cannot be read.
    """
    word = hashlib.sha256((path / SAVED_MODEL).read_bytes())
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != SAVED_MODEL:
            status = file.stat()
            word.update(f"\0{file.relative_to(path).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return word.hexdigest()
