"""Reads the file of models again when it changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from .core.errors import ServingError
from .core.model_config import ModelConfig
from .errors import CannotStart

log = logging.getLogger(__name__)
Reload = Callable[[Sequence[ModelConfig], str], Awaitable[None]]
Read = Callable[[Path], Sequence[ModelConfig]]


class ConfigWatch:
    """Applies a `--model_config_file` whenever it was written: all of it, or nothing.

    Args:
        path: The file, which was read once already.
        read: Reads it.
        reload: Has its models served.
    """

    def __init__(self, path: Path, read: Read, reload: Reload) -> None:
        self._path = path
        self._read = read
        self._reload = reload
        self._seen = self._stamp()

    async def look(self) -> None:
        """Applies the file if it is not the one that was seen last. What it asks for in vain is logged."""
        stamp = await asyncio.to_thread(self._stamp)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            await self._reload(await asyncio.to_thread(self._read, self._path), str(self._path))
        except (CannotStart, ServingError) as error:
            log.error("%s was not applied; what serves keeps serving, until the file changes: %s", self._path, error)

    async def run(self, interval_s: float, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks after every interval; never where it is 0, as TensorFlow Serving has it."""
        while interval_s > 0:
            await wait(interval_s)
            try:
                await self.look()
            except Exception:  # whatever it is, what serves goes on serving
                log.exception("applying %s failed", self._path)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
