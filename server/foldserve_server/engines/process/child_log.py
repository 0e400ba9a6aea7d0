"""Output of a child process, in this process's log."""

import asyncio
import contextlib
import logging
import os
from collections import deque

_log = logging.getLogger("foldserve_engine.worker.engine_process_main")
_CHUNK = 1 << 16
_LAST_LINES = 8
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}


class ChildLog:
    """Reads a pipe and logs every line of it; a line that names no level is a library's, and a warning."""

    def __init__(self, descriptor: int, pid: int) -> None:
        """Owns the descriptor from then on."""
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._pid = pid
        self._rest = b""
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def last_words(self) -> str:
        """The last lines, in one."""
        return " | ".join(self._last)

    def close(self) -> None:
        """Reads what is left, and closes the pipe."""
        if self._descriptor < 0:
            return
        while self._descriptor >= 0 and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        """Reads what is there; gives whether there was anything."""
        with contextlib.suppress(BlockingIOError):
            if content := os.read(self._descriptor, _CHUNK):
                *lines, self._rest = (self._rest + content).split(b"\n")
                if len(self._rest) > _CHUNK:
                    lines, self._rest = [*lines, self._rest], b""
                for line in lines:
                    self._line(line.decode(errors="replace"))
                return True
            self._end()
        return False

    def _line(self, line: str) -> None:
        if line.strip():
            self._last.append(line)
            level, _, text = line.partition(" ")
            number = _LEVELS.get(level)
            _log.log(number or logging.WARNING, "[%d] %s", self._pid, text if number else line)

    def _end(self) -> None:
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        if self._rest:
            self._line(self._rest.decode(errors="replace"))
