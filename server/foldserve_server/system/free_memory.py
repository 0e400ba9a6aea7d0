"""Free memory of machine and container, and the memory that a version takes."""

import os
from pathlib import Path

_ARTIFACT_FACTOR = 1.2  # TensorFlow Serving's estimate of what a model takes, by the size of its files
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """The bytes that processes may still allocate, in the machine and in the container; None where unknown."""
    bounds = [bound for bound in (_available(meminfo), _left(cgroup)) if bound is not None]
    return min(bounds, default=None)


def private_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """The bytes of memory that a process shares with no other; None where it has ended."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), None)


def artifact_bytes(path: Path) -> int:
    """The estimated bytes that a file, or all files of a folder, take when they are loaded."""
    try:
        files = [path] if path.is_file() else [Path(at, name) for at, _, names in os.walk(path) for name in names]
        return int(_ARTIFACT_FACTOR * sum(file.stat().st_size for file in files))
    except OSError:  # it is being removed: loading it will report that
        return 0


def shortage(needed: int, free: int | None) -> str | None:
    """The reason why a version cannot be loaded; None where memory suffices."""
    if free is None or needed <= free:
        return None
    return (
        f"it takes about {needed >> 20:,} MiB beside what serves, and {free >> 20:,} MiB are free:"
        " free some, or load with --swap=stop-first"
    )


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


def _left(cgroup: Path) -> int | None:
    """The bytes that the container may still take; its page cache, which the kernel gives back, counts as free."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        current = int((cgroup / "memory.current").read_text())
        lines = (cgroup / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return None
    cached = sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))
    return None if limit == "max" else max(0, int(limit) - current + cached)
