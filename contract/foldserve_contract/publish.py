"""Publishing a bundle: written beside, synced, then renamed, so that a version is there whole or not at all."""

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
from .errors import VersionExists
from .manifest import Manifest, SealedFile
from .repository import check_name, versions

_STAGING = ".staging-"
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2


class Staging:
    """A directory beside the versions in which one is being written. No server reads it: its name is not a number."""

    def __init__(self, path: Path, version: int) -> None:
        """Made by `stage`."""
        self.path = path
        self.version = version

    def seal(self) -> tuple[SealedFile, ...]:
        """The size and digest of every file written so far, sorted by path."""
        return tuple(seal_file(self.path, path) for path in sorted(self.path.rglob("*")) if path.is_file())

    def publish(self, manifest: Manifest, *, force: bool = False) -> Path:
        """Writes the manifest last, syncs everything, and puts the version in its place.

        Returns:
            The version directory.

        Raises:
            VersionExists: The version is there already and `force` was not given.
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
    """A place to write one version of a model; what is not published is removed, after a kill by the next run.

    Args:
        root: The model repository; made if it is not there.
        name: The model's name.
        version: The version's number; by default the highest plus one, versions being written included.
        force: Whether an existing version may be replaced.

    Raises:
        UnsafePath: The name may not name a folder.
        VersionExists: The version is there already and `force` was not given.
    """
    model = root / check_name(name)
    model.mkdir(parents=True, exist_ok=True)
    with _locked(model):  # nobody may sweep a directory that is made but not yet locked
        _sweep(model)
        number = _next_version(root, name) if version is None else version
        if not force and (model / str(number)).exists():
            raise VersionExists(_exists_message(model / str(number)))
        path = model / f"{_STAGING}{number}-{uuid.uuid4().hex[:8]}"
        path.mkdir()
        lock = _lock(path)
    try:
        yield Staging(path, number)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
        with suppress(OSError):
            model.rmdir()  # only when nothing was ever published


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
    staged = [int(path.name.split("-")[1]) for path in (root / name).glob(f"{_STAGING}*")]
    return max([*versions(root, name), *staged, 0]) + 1


def _sweep(model: Path) -> None:
    """Removes what killed runs left: a staging directory that nobody holds a lock on."""
    for path in model.glob(f"{_STAGING}*"):
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
    """Swaps the two; the old version is then in the staging directory's place, and goes with it."""

    def aside() -> None:
        old = source.with_name(f"{source.name}.old")
        target.rename(old)
        source.rename(target)
        old.rename(source)

    _renameat2(source, target, _RENAME_EXCHANGE, aside)


def _renameat2(source: Path, target: Path, flags: int, otherwise: Callable[[], None]) -> None:
    """renameat2(2), or `otherwise` where the system or the file system does not have it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return otherwise()
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return None
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return otherwise()
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
