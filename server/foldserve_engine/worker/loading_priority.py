"""Lowered CPU priority of an engine process while it loads."""

import contextlib
import os
import resource
from pathlib import Path
from typing import Self

_THREADS = Path("/proc/self/task")
_LOADING_NICE = 10
_STATUS = Path("/proc/self/status")
_CAP_SYS_NICE = 23


class LoadingPriority:
    """Lowers the priority of this process until it is left as a context: no caller waits for an engine that loads.

    It and the threads it starts leave all cores but one to others, and yield that one to every thread that wakes up.
    Where it may be undone, which takes a privilege, their share of it is a tenth of that of serving engines: enough to
    get ready even where those never rest.

    Attributes:
        cores: How many this process may use as a rule.
    """

    def __init__(self) -> None:
        self._cores = os.sched_getaffinity(0)
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)
        self._lower = _may_rise_to(self._priority)
        self.cores = len(self._cores)
        os.sched_setaffinity(0, {max(self._cores)})
        _schedule(os.SCHED_BATCH, self._priority + _LOADING_NICE if self._lower else None)

    def take_all_cores(self) -> None:
        """Allows all cores again, so that libraries that make threads by the number of cores count them."""
        for thread in _THREADS.iterdir():  # a thread keeps what its maker had
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread.name), self._cores)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.take_all_cores()
        _schedule(os.SCHED_OTHER, self._priority if self._lower else None)


def _schedule(policy: int, priority: int | None) -> None:
    for thread in _THREADS.iterdir():
        with contextlib.suppress(OSError):
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))
            if priority is not None:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)


def _may_rise_to(priority: int) -> bool:
    """Tests whether this process could go back to a priority after it has lowered its own."""
    if resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - priority:
        return True
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        rights = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
        return bool(int(rights, 16) >> _CAP_SYS_NICE & 1)
    return False
