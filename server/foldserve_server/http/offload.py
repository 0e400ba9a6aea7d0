"""JSON that is too large for the event loop, which would stand still meanwhile.

A thread does not help: Python's JSON module holds the interpreter while it reads.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ..core.errors import EngineFailed

T = TypeVar("T")
_WORKERS = 2


class Offload:
    """Runs small work at once and large work in processes, which are started when the first comes."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, large: bool, work: Callable[..., T], *arguments: Any) -> T:
        """What the work gives.

        Raises:
            EngineFailed: Its process ended meanwhile.
        """
        if not large:
            return work(*arguments)
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would keep the sockets of gRPC
            self._pool = ProcessPoolExecutor(_WORKERS, context, initializer=_begin)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        except BrokenExecutor as error:
            self.close()
            raise EngineFailed(f"a process that reads JSON ended: {error}") from error

    def close(self) -> None:
        """Ends the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Makes a worker end when the server says so, or when it is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it goes to the whole group
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
