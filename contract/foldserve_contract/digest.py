"""SHA-256 digests of files."""

import hashlib
from pathlib import Path

from .manifest import SealedFile


def sha256(content: bytes) -> str:
    """The hexadecimal digest of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """The hexadecimal digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal_file(directory: Path, path: Path) -> SealedFile:
    """The manifest's record of a file below the version directory: relative path, size and digest."""
    return SealedFile(path.relative_to(directory).as_posix(), path.stat().st_size, sha256_file(path))
