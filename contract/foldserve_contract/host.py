"""Description of the machine that results were computed on."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """The name of the CPU as Linux reports it, else the name of the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
