"""Process pool for large JSON, which would block the event loop.

A thread does not help: Python's JSON module holds the interpreter lock while it reads. Nor does a limit on the text: an
empty list takes two bytes of it, and forty times as many once it is read. So the processes have a limit on memory.
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
_MANY_NUMBERS = 8192  # reading so many takes about a millisecond
_LONG_TEXT = 1 << 20  # bytes
_MEMORY_FACTOR, _LEAST_MEMORY = 10, 512 << 20  # a worker's memory: so many times the largest body, and never less


def is_large(content: bytes, size: int | None = None) -> bool:
    """Tests whether JSON, the first `size` bytes of the content, takes too long to be read in the event loop."""
    length = len(content) if size is None else size
    return length > _LONG_TEXT or content.count(b",", 0, length) > _MANY_NUMBERS


def are_many(numbers: int) -> bool:
    """Tests whether so many numbers take too long to be written in the event loop."""
    return numbers > _MANY_NUMBERS


class JsonPool:
    """Runs small work at once, and large work in processes, which are started with the first of it.

    Args:
        max_bytes: The largest body, from which the memory limit of a worker is derived.
        timeout_s: The most seconds for large work; 0 for any time.
        least_memory: The least memory limit of a worker, in bytes.
    """

    def __init__(self, max_bytes: int, timeout_s: float = 0, least_memory: int = _LEAST_MEMORY) -> None:
        self._memory = max(least_memory, _MEMORY_FACTOR * max_bytes)
        self._timeout_s = timeout_s or None
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, large: bool, work: Callable[..., T], *arguments: Any) -> T:
        """Runs the work and returns its result.

        Raises:
            BodyTooLarge: The work takes more memory than a worker may use.
            DeadlineExceeded: The work, or the work that is queued before it, takes too long.
            EngineFailed: The worker process ended meanwhile.
        """
        if not large:
            return work(*arguments)
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would keep the sockets of gRPC
            self._pool = ProcessPoolExecutor(_WORKERS, context, initializer=_start_worker, initargs=(self._memory,))
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


def _start_worker(memory: int) -> None:
    """Sets up a worker: it ends with the server, however that ends, and has a limit on its memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole process group
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import_module(f"{__package__}.v2.infer_json")  # imports all modules that the work needs
    limit, hard_limit = _data_bytes() + memory, resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard_limit != resource.RLIM_INFINITY:
        limit = min(limit, hard_limit)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard_limit))


def _data_bytes() -> int:
    match = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
