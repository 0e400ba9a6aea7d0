"""JSON that is too large for the event loop, which would stand still meanwhile.

A thread does not help: Python's JSON module holds the interpreter while it reads. Nor does a bound on the text: a list
of nothing takes two bytes of it, and forty times as many once it is read. So the processes have a bound on memory.
"""

import asyncio
import multiprocessing
import os
import re
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from ..errors import DeadlineExceeded, EngineFailed
from .status import BodyTooLarge

T = TypeVar("T")
_WORKERS = 2
_LARGE = 8192  # numbers; reading so many takes about a millisecond
_LONG = 1 << 20  # bytes; of text without numbers
_TIMES, _LEAST_MEMORY = 10, 512 << 20  # what a worker may take: so many times the largest body, and never less


def is_large(content: bytes, size: int | None = None) -> bool:
    """Whether the JSON, the first `size` bytes, takes so long to read that others should not wait for it."""
    length = len(content) if size is None else size
    return length > _LONG or content.count(b",", 0, length) > _LARGE


def is_long(numbers: int) -> bool:
    """Whether so many numbers take so long to write."""
    return numbers > _LARGE


class JsonPool:
    """Runs small work at once and large work in processes, which are started when the first comes."""

    def __init__(self, max_bytes: int, timeout_s: float = 0, least_memory: int = _LEAST_MEMORY) -> None:
        """Bodies have `max_bytes` at most; large work may take `timeout_s`, 0 for any time."""
        self._memory = max(least_memory, _TIMES * max_bytes)
        self._timeout_s = timeout_s or None
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, large: bool, work: Callable[..., T], *arguments: Any) -> T:
        """What the work gives.

        Raises:
            BodyTooLarge: It takes more memory than it may.
            DeadlineExceeded: It takes too long, or others before it do.
            EngineFailed: Its process ended meanwhile.
        """
        if not large:
            return work(*arguments)
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would keep the sockets of gRPC
            self._pool = ProcessPoolExecutor(_WORKERS, context, initializer=_begin, initargs=(self._memory,))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        except TimeoutError:
            raise DeadlineExceeded(f"the JSON was not read or written within {self._timeout_s:g} s") from None
        except MemoryError:
            raise BodyTooLarge(
                f"the JSON takes more than {self._memory:,} bytes of memory: send less at once, or arrays as bytes"
            ) from None
        except BrokenExecutor as error:
            self.close()
            raise EngineFailed(f"a process that reads JSON ended: {error}") from error

    def close(self) -> None:
        """Ends the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(memory: int) -> None:
    """Makes a worker end when the server says so, or when it is gone, however it went; and bounds its memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it goes to the whole group
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import_module(f"{__package__}.v2.infer_json")  # with all that it needs itself
    most, operators = _data_bytes() + memory, resource.getrlimit(resource.RLIMIT_DATA)[1]
    if operators != resource.RLIM_INFINITY:
        most = min(most, operators)
    resource.setrlimit(resource.RLIMIT_DATA, (most, operators))


def _data_bytes() -> int:
    found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
