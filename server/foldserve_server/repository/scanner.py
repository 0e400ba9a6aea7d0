"""Scanner of version directories."""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from foldserve_contract.bundle import MANIFEST, SAVED_MODEL
from foldserve_contract.digest import sha256
from foldserve_contract.errors import BundleError
from foldserve_contract.manifest import MAX_MANIFEST_BYTES, Manifest
from foldserve_contract.plain_saved_model import plain_digest
from foldserve_contract.repository import read_small

PATIENCE = 3
_SETTLED_NS = 5_000_000_000
_NO_FILE = -1  # the size of a pipe or a socket, from which nothing is read: it might never come
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class VersionSnapshot:
    """State of a version directory at one scan.

    Attributes:
        digest: SHA-256 of `bundle.json`, which with the number is the version's identity; None where it has none yet,
            empty where it cannot be read. Of a SavedModel without one, where those are served: `plain_digest`.
        fingerprint: Changes with the path, size or time of any file.
        ready: Whether it may be loaded: whole, or unchanged for so many scans that it is not being copied.
    """

    version: int
    path: Path
    digest: str | None
    fingerprint: str
    ready: bool


@dataclass(frozen=True, slots=True)
class _ScanRecord:
    fingerprint: str
    digest: str | None
    whole: bool
    looks: int


class VersionScanner:
    """Scans version directories, and reads again only what changed."""

    def __init__(
        self, patience: int = PATIENCE, *, allow_unverified: bool = False, now_ns: Clock = time.time_ns
    ) -> None:
        self._patience = patience
        self._allow_unverified = allow_unverified
        self._now_ns = now_ns
        self._seen: dict[Path, _ScanRecord] = {}

    def look(self, version: int, path: Path) -> VersionSnapshot:
        """The directory at this moment.

        It is not ready while its files are being moved. A directory that may not be read for some scans is ready: the
        attempt to load it gives the reason.
        """
        seen = self._seen.get(path)
        try:
            sizes, fingerprint = _walk(path)
            if seen is None or seen.fingerprint != fingerprint:
                seen = _ScanRecord(fingerprint, *self._judge(path, sizes), 0)
        except PermissionError as error:
            if seen is None or seen.fingerprint != str(error):
                seen = _ScanRecord(str(error), self._digest(path), False, 0)
        except OSError:
            return VersionSnapshot(version, path, None, "", False)
        seen = replace(seen, looks=seen.looks + 1)
        self._seen[path] = seen
        ready = seen.digest is not None and (seen.whole or seen.looks > self._patience)
        return VersionSnapshot(version, path, seen.digest, seen.fingerprint, ready)

    def _judge(self, path: Path, sizes: dict[str, int]) -> tuple[str | None, bool]:
        """The digest, and whether the directory is certainly whole."""
        if not self._allow_unverified or MANIFEST in sizes or sizes.get(SAVED_MODEL, _NO_FILE) == _NO_FILE:
            return _manifest(path, sizes)
        newest = max(_status(path / name).st_ctime_ns for name in sizes)
        return plain_digest(path), self._now_ns() - newest > _SETTLED_NS

    def _digest(self, path: Path) -> str | None:
        """The digest where other files cannot be read; empty where not even the manifest can."""
        try:
            return sha256(read_small(path / MANIFEST, MAX_MANIFEST_BYTES))
        except FileNotFoundError:
            return "" if self._allow_unverified else None
        except OSError:
            return ""

    def forget_all_but(self, there: set[Path]) -> None:
        """Forgets directories that are gone."""
        for path in self._seen.keys() - there:
            del self._seen[path]


def _walk(path: Path) -> tuple[dict[str, int], str]:
    """The size of each file, and a digest of sizes, times and inodes of all."""
    sizes: dict[str, int] = {}
    word = hashlib.sha256()
    for directory, folders, names in os.walk(path, onerror=_raise):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = Path(directory) / name
            status = _status(file)
            key = file.relative_to(path).as_posix()
            sizes[key] = status.st_size if stat.S_ISREG(status.st_mode) else _NO_FILE
            word.update(f"{key}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\0".encode())
    return sizes, word.hexdigest()


def _status(file: Path) -> os.stat_result:
    """The status of a link's target; of the link itself where that is missing, so that it is reported."""
    try:
        return file.stat()
    except OSError:
        if not file.is_symlink():
            raise
        return file.lstat()


def _raise(error: OSError) -> None:
    raise error


def _manifest(path: Path, sizes: dict[str, int]) -> tuple[str | None, bool]:
    """The manifest's digest, and whether every file it names is there in its full size."""
    if not 0 <= sizes.get(MANIFEST, _NO_FILE) <= MAX_MANIFEST_BYTES:
        return (None if MANIFEST not in sizes else ""), False
    content = (path / MANIFEST).read_bytes()
    try:
        files = Manifest.from_bytes(content).files
    except BundleError:
        return sha256(content), False
    return sha256(content), all(sizes.get(file.path) == file.size for file in files)
