"""Layout of a model repository: `MODELS_DIR/NAME/VERSION`, as in TensorFlow Serving and Triton."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import UnsafePath

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_VERSION = 2**63 - 1  # the largest int64, the type in TensorFlow Serving's protocol
VERSION_PATTERN = "[0-9]{1,19}"
_VERSION = re.compile("0*" + VERSION_PATTERN)
_SYSTEM = "lost+found"  # in the root of a file system


def check_name(name: str) -> str:
    """Returns the name if it is allowed for a model and its folder.

    Raises:
        UnsafePath: It holds anything but letters, digits, `.`, `_` and `-`, or begins with a sign.
    """
    if not _NAME.fullmatch(name):
        raise UnsafePath(f"model name {name!r} must be letters, digits, '.', '_' and '-', beginning with the first two")
    return name


def version_of(name: str) -> int | None:
    """The version number that a folder's name stands for; None where it is not one from 0 to `MAX_VERSION`."""
    number = int(name.lstrip("0") or "0") if _VERSION.fullmatch(name) else MAX_VERSION + 1
    return number if number <= MAX_VERSION else None


def path_exists(path: Path) -> bool:
    """Tests whether a file or folder exists; False if its parent may not be searched."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def read_small(path: Path, most: int) -> bytes:
    """Reads a regular file of at most `most` bytes; never blocks on a pipe, nor reads more than that.

    Raises:
        OSError: The file cannot be read, is not regular or is larger.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise OSError(errno.EINVAL, f"it is not a regular file of up to {most:,} bytes", str(path))
        return stream.read(most)


@dataclass(frozen=True, slots=True)
class RepositoryListing:
    """Entries of a model repository, sorted by name.

    Attributes:
        models: The names of the folders that may hold versions.
        passed_over: Folders that may not be a model's, and links that lead nowhere, each with the reason.
    """

    models: tuple[str, ...]
    passed_over: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class VersionListing:
    """Entries of a model's folder.

    Attributes:
        versions: The version directories by number, ascending; of `7` and `007`, the one without zeros is taken.
        passed_over: Folders that are no version, and what else is named like one, each with the reason; sorted.
    """

    versions: Mapping[int, Path]
    passed_over: Mapping[Path, str]


def list_repository(root: Path) -> RepositoryListing:
    """Lists a model repository.

    Raises:
        OSError: It cannot be read.
    """
    entries = sorted(root.iterdir())
    models = [path for path in entries if _NAME.fullmatch(path.name) and _may_be_folder(path)]
    others = [path for path in entries if path not in models]
    return RepositoryListing(tuple(path.name for path in models), _with_reasons(others, _not_a_model))


def list_versions(root: Path, name: str) -> VersionListing:
    """Lists a model's folder.

    Raises:
        OSError: It cannot be read.
    """
    directories: dict[int, Path] = {}
    others: list[Path] = []
    for path in sorted((root / name).iterdir(), key=lambda path: (len(path.name), path.name)):
        number = version_of(path.name)
        if number is None or number in directories or not _may_be_folder(path):
            others.append(path)
        else:
            directories[number] = path
    reasons = _with_reasons(sorted(others), lambda path: _not_a_version(path, directories))
    return VersionListing(dict(sorted(directories.items())), reasons)


def _with_reasons(paths: Iterable[Path], judge: Callable[[Path], str]) -> dict[Path, str]:
    """The paths for which `judge` gives a reason, or that cannot be read; not those that are expected."""
    reasons: dict[Path, str] = {}
    for path in paths:
        if _is_expected(path):
            continue
        try:
            path.stat()
        except OSError as error:
            reasons[path] = f"it cannot be read: {error.strerror}"
        else:
            reasons[path] = judge(path)
    return {path: reason for path, reason in reasons.items() if reason}


def _not_a_model(path: Path) -> str:
    if _NAME.fullmatch(path.name) or not path.is_dir():
        return ""
    return "a model's name is letters, digits, '.', '_' and '-', beginning with the first two"


def _not_a_version(path: Path, taken: Mapping[int, Path]) -> str:
    """The reason why a path in a model's folder is passed over; empty where it is a version, or some other file."""
    number = version_of(path.name)
    if number is None:
        return f"its name is not a version, a number from 0 to {MAX_VERSION}" if path.is_dir() else ""
    if number not in taken:
        return "" if path.is_dir() else "a version is a folder, and this is not one"
    return f"version {number} is {taken[number].name} already"


def _may_be_folder(path: Path) -> bool:
    """Tests whether a path is a folder, or one that may not be read: whoever lists it is told why."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ELOOP)


def _is_expected(path: Path) -> bool:
    return path.name.startswith(".") or path.name == _SYSTEM
