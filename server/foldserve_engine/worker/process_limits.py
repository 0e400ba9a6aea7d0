"""Limits that an engine process sets on itself: memory, priority, and its end with the parent."""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OOM = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"
_NICE = 19


def die_with_parent(parent: int) -> None:
    """Asks to be killed when the thread that started this process ends; ends at once if that has happened."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def limit_memory(limit_bytes: int) -> None:
    """Bounds the private memory of this process (RLIMIT_DATA)."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def give_way() -> None:
    """Lowers the priority of this process below every other."""
    os.nice(_NICE)


@contextlib.contextmanager
def first_to_go() -> Iterator[None]:
    """Context in which the kernel kills this process before any other when memory runs out."""
    before = _OOM.read_text() if _OOM.exists() else "0"
    with contextlib.suppress(OSError):
        _OOM.write_text(_FIRST_TO_GO)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _OOM.write_text(before)
