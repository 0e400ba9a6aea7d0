"""Peak memory of a process and everything that it starts; shared pages are counted once (proportional set size)."""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """Result of a command: exit code, output, seconds, and peak memory."""

    code: int
    output: str
    errors: str
    seconds: float
    peak_mib: float


def run_measured(command: list[str], environment: Mapping[str, str]) -> Run:
    """Runs a command and samples the memory of its process tree ten times a second."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    watch = _Watch(process.pid)
    watch.start()
    output, errors = process.communicate()
    watch.ended.set()
    watch.join()
    return Run(process.returncode, output, errors, time.perf_counter() - began, watch.peak_mib)


class _Watch(threading.Thread):
    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.peak_mib = 0.0
        self._process = process

    def run(self) -> None:
        while not self.ended.wait(_INTERVAL_S):
            self.peak_mib = max(self.peak_mib, sum(_mib(process) for process in family(self._process)))


def family(process: int) -> list[int]:
    """A process and its descendants."""
    members = [process]
    for member in members:  # grows while it is read
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            members += [int(child) for child in _text(children).split()]
    return members


def _mib(process: int) -> float:
    lines = _text(Path(f"/proc/{process}/smaps_rollup")).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _text(path: Path) -> str:
    """A file of /proc; empty where the process has ended."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
