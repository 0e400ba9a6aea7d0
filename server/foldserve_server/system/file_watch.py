"""Applies a file again when it changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..errors import CannotStart, ServingError
from .poll import Wait, poll

log = logging.getLogger(__name__)
Stamp = tuple[int, int, int]


class FileWatch:
    """Has a file applied whenever it was written; what cannot be applied changes nothing, and is logged.

    Args:
        path: The file.
        apply: Reads it and acts on it, or raises `CannotStart` or a `ServingError`.
        applied: Whether what stands in it now is known to be in force; otherwise it is applied at the first look.
    """

    def __init__(self, path: Path, apply: Callable[[], Awaitable[None]], *, applied: bool = True) -> None:
        self._path = path
        self._apply = apply
        self._seen = stamp(path) if applied else None

    async def look(self) -> None:
        """Applies the file if it is not the one that was seen last."""
        now = await asyncio.to_thread(stamp, self._path)
        if now == self._seen:
            return
        self._seen = now
        try:
            await self._apply()
        except (CannotStart, ServingError) as error:
            log.error("%s was not applied; what was in force stays so until the file changes: %s", self._path, error)

    async def run(self, interval_s: float, wait: Wait = asyncio.sleep) -> None:
        """Looks after every interval; never where it is 0, as TensorFlow Serving has it."""
        await poll(self.look, str(self._path), interval_s, log, wait)


def stamp(path: Path) -> Stamp | None:
    """What changes when the file is written; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
