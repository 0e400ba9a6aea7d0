"""Host memory that a GPU reads directly: page-locked, so that the driver needs no copy of its own in between."""

import ctypes
import logging
import weakref
from typing import Any

from foldserve_contract.signature import Array

from ..rows import aligned

_log = logging.getLogger(__name__)
_PAGE = 4096
_PORTABLE = 1  # cudaHostRegisterPortable: locked for every GPU of the process


class PinnedMemory:
    """Allocates page-locked memory with the CUDA runtime that ONNX Runtime has loaded.

    ONNX Runtime's interface to Python allocates none for its CUDA provider.
    """

    @classmethod
    def open(cls, device: int, cudart: Any | None) -> "PinnedMemory | None":
        """Memory for the GPU of that number; None, and a line in the log, where none can be locked."""
        if cudart is None:
            _log.warning("host memory is not page-locked: no CUDA runtime is loaded")
            return None
        pinned = cls(cudart, device)
        return pinned if pinned.lock(aligned(_PAGE, _PAGE)) else None

    def __init__(self, cudart: Any, device: int) -> None:
        """The CUDA runtime, as `find_cudart` gives it, and the GPU that the process works with."""
        self._cudart = cudart
        self._device = device

    def allocate(self, size: int) -> Array:
        """Allocates page-locked memory; ordinary memory, with a line in the log, where the driver refuses."""
        memory = aligned(size, _PAGE)
        self.lock(memory)
        return memory

    def lock(self, memory: Array) -> bool:
        """Locks an array's memory for as long as it lives; whether that was possible."""
        address = memory.ctypes.data
        status = self._cudart.cudaSetDevice(self._device) or self._cudart.cudaHostRegister(
            ctypes.c_void_p(address), ctypes.c_size_t(memory.nbytes), _PORTABLE
        )
        if status:
            _log.warning("%d bytes of host memory cannot be page-locked: CUDA error %d", memory.nbytes, status)
            return False
        weakref.finalize(memory.base, self._unlock, address).atexit = False
        return True

    def _unlock(self, address: int) -> None:
        self._cudart.cudaHostUnregister(ctypes.c_void_p(address))
