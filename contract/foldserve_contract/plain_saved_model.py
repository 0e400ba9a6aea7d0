"""SavedModel directories without a manifest, as TensorFlow Serving takes them: nothing in them was verified."""

import hashlib
from pathlib import Path

from .bundle import MANIFEST, SAVED_MODEL
from .repository import path_exists


def is_plain(path: Path) -> bool:
    """Tests whether the version directory holds a SavedModel and is not a bundle; False if it cannot be read."""
    return path_exists(path / SAVED_MODEL) and not path_exists(path / MANIFEST)


def plain_digest(path: Path) -> str:
    """Identifies the content: SHA-256 of the graph's bytes, and of name, size and time of every other file.

    Raises:
        OSError: The directory cannot be read.
    """
    digest = hashlib.sha256((path / SAVED_MODEL).read_bytes())
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != SAVED_MODEL:
            status = file.stat()
            digest.update(f"\0{file.relative_to(path).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()
