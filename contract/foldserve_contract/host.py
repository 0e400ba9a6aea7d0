"""The machine that numbers were computed on."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """The CPU's name as Linux gives it, or the architecture's where it gives none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
