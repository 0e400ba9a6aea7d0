"""Watches a file and applies it again when it changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..errors import CannotStart, ServingError
from .poll import Wait, poll

log = logging.getLogger(__name__)
Stamp = tuple[int, int, int]


class FileWatch:
    """Applies a file whenever it was written; a file that cannot be applied changes nothing, and is logged.

    Args:
        path: The file.
        apply: Reads the file and acts on it, or raises `CannotStart` or a `ServingError`.
        applied: True if the present content is in force already; otherwise the first check applies it.
    """

    def __init__(self, path: Path, apply: Callable[[], Awaitable[None]], *, applied: bool = True) -> None:
        self._path = path
        self._apply = apply
        self._last = stamp(path) if applied else None

    async def check(self) -> None:
        """Applies the file if it has changed since the last check."""
        now = await asyncio.to_thread(stamp, self._path)
        if now == self._last:
            return
        self._last = now
        try:
            await self._apply()
        except (CannotStart, ServingError) as error:
            log.error("%s was not applied; what was in force stays so until the file changes: %s", self._path, error)

    async def run(self, interval_s: float, wait: Wait = asyncio.sleep) -> None:
        """Checks the file after every interval; never where it is 0, as in TensorFlow Serving."""
        await poll(self.check, str(self._path), interval_s, log, wait)


def stamp(path: Path) -> Stamp | None:
    """Modification time, size and inode of the file, which change when it is written; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
