"""Layout of a model repository: `MODELS_DIR/NAME/VERSION`, as in TensorFlow Serving and Triton."""

import errno
import os
import re
import stat
from pathlib import Path

from .errors import UnsafePath

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[0-9]{1,18}")


def check_name(name: str) -> str:
    """Returns the name if it is allowed for a model and its folder.

    Raises:
        UnsafePath: It holds anything but letters, digits, `.`, `_` and `-`, or begins with a sign.
    """
    if not _NAME.fullmatch(name):
        raise UnsafePath(f"model name {name!r} must be letters, digits, '.', '_' and '-', beginning with the first two")
    return name


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


def models(root: Path) -> list[str]:
    """The names of the folders that may hold versions, sorted."""
    return sorted(path.name for path in root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def versions(root: Path, name: str) -> dict[int, Path]:
    """The version directories of a model by number, ascending; of `7` and `007`, the one without zeros is taken."""
    directories: dict[int, Path] = {}
    for path in sorted((root / name).iterdir(), key=lambda path: (len(path.name), path.name)):
        if _VERSION.fullmatch(path.name) and path.is_dir():
            directories.setdefault(int(path.name), path)
    return dict(sorted(directories.items()))
