"""The CUDA runtime that ONNX Runtime has loaded into this process."""

import ctypes
import re
from pathlib import Path
from typing import Any

_LIBRARY = re.compile(r"\S*/libcudart[^/\s]*\.so[^/\s]*$")


def find_cudart(maps: Path = Path("/proc/self/maps")) -> Any | None:
    """The CUDA runtime that is loaded into this process; None where there is none."""
    try:
        lines = maps.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    path = next((match[0] for line in lines if (match := _LIBRARY.search(line))), None)
    return None if path is None else ctypes.CDLL(path)


def lasting_fault(cudart: Any, device: int) -> int:
    """The CUDA error that every call on that GPU answers with from now on; 0 where the GPU goes on computing.

    After an illegal memory access, a failed launch or an uncorrectable memory error, nothing but the end of the process
    helps. An error of one call alone, such as a want of memory, is forgotten.
    """
    cudart.cudaGetLastError()
    return int(cudart.cudaSetDevice(device) or cudart.cudaDeviceSynchronize())
