"""Publication of a bundle: written to a staging directory, synced, then renamed, so that a version appears whole."""

import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .bundle import MANIFEST
from .digest import seal_file
from .errors import UnsafePath, VersionExists
from .manifest import Manifest, SealedFile
from .repository import MAX_VERSION, check_name, list_versions

STAGING = ".staging-"
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2


class Staging:
    """A directory in which a version is written, beside the versions; servers ignore it: its name is not a number."""

    def __init__(self, path: Path, version: int) -> None:
        """Use `stage` instead."""
        self.path = path
        self.version = version

    def seal(self) -> tuple[SealedFile, ...]:
        """Records size and digest of every file written so far, sorted by path."""
        return tuple(seal_file(self.path, path) for path in sorted(self.path.rglob("*")) if path.is_file())

    def publish(self, manifest: Manifest, *, force: bool = False) -> Path:
        """Writes the manifest last, syncs all files, and renames the directory to its version.

        Returns:
            The version directory.

        Raises:
            VersionExists: The version exists already and `force` was not given.
            OSError: The disk is full or fails; nothing was published.
        """
        (self.path / MANIFEST).write_bytes(manifest.to_bytes())
        _sync_tree(self.path)
        target = self.path.parent / str(self.version)
        if force and target.exists():
            _exchange(self.path, target)
        else:
            _rename_new(self.path, target)
        _sync(self.path.parent)
        return target


@contextmanager
def stage(root: Path, name: str, version: int | None = None, *, force: bool = False) -> Iterator[Staging]:
    """Makes a staging directory for a version; unless published, it is removed, after a kill by the next run.

    Args:
        root: The model repository; created if it does not exist.
        name: The model's name.
        version: The version's number; by default the highest plus one, counting versions being written.
        force: True if an existing version may be replaced.

    Raises:
        UnsafePath: The name is not allowed as the name of a folder, or the version is none.
        VersionExists: The version exists already and `force` was not given.
    """
    model = root / check_name(name)
    if version is not None and not 0 <= version <= MAX_VERSION:
        raise UnsafePath(f"a version is a number from 0 to {MAX_VERSION}, received {version}")
    model.mkdir(parents=True, exist_ok=True)
    with _locked(model):  # no other process may sweep a directory that is created but not yet locked
        _sweep(model)
        number = _next_version(root, name) if version is None else version
        if not force and (model / str(number)).exists():
            raise VersionExists(_exists_message(model / str(number)))
        path = model / f"{STAGING}{number}-{uuid.uuid4().hex[:8]}"
        path.mkdir()
        lock = _lock(path)
    try:
        yield Staging(path, number)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
        with suppress(OSError):
            model.rmdir()  # succeeds only if nothing was ever published


def _lock(directory: Path, flags: int = 0) -> int:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | flags)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = _lock(directory)
    try:
        yield
    finally:
        os.close(handle)


def _next_version(root: Path, name: str) -> int:
    staged = [int(path.name.split("-")[1]) for path in (root / name).glob(f"{STAGING}*")]
    highest = max([*list_versions(root, name).versions, *staged, 0])
    if highest == MAX_VERSION:
        raise VersionExists(
            f"{root / name} holds version {highest}, the highest there can be; choose a number below it"
        )
    return highest + 1


def _sweep(model: Path) -> None:
    """Removes what killed runs left: staging directories that no process holds a lock on."""
    for path in model.glob(f"{STAGING}*"):
        with suppress(BlockingIOError):
            handle = _lock(path, fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)


def _rename_new(source: Path, target: Path) -> None:
    def without_flags() -> None:
        if target.exists():  # rename(2) would replace an empty directory
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        source.rename(target)

    try:
        _renameat2(source, target, _RENAME_NOREPLACE, without_flags)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise VersionExists(_exists_message(target)) from error
        raise


def _exchange(source: Path, target: Path) -> None:
    """Swaps two directories; the old version is then the staging directory, and is removed with it."""

    def aside() -> None:
        old = source.with_name(f"{source.name}.old")
        target.rename(old)
        source.rename(target)
        old.rename(source)

    _renameat2(source, target, _RENAME_EXCHANGE, aside)


def _renameat2(source: Path, target: Path, flags: int, fallback: Callable[[], None]) -> None:
    """Calls renameat2(2), or `fallback` where the system or the file system does not support it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return fallback()
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return None
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return fallback()
    raise OSError(code, os.strerror(code), str(target))


def _exists_message(target: Path) -> str:
    return f"{target} exists already; leave --version out for the next free number, or replace it with --force"


def _sync_tree(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        _sync(path)
    _sync(root)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
