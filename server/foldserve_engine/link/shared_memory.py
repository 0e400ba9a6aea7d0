"""Shared memory without a name: a memfd, which no kill can leak."""

import os
from mmap import mmap


class SharedMemory:
    """A memfd and its mapping. The mapping lives as long as an array that shares it."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Maps `size` bytes of a descriptor, which it owns from then on."""
        self.descriptor = descriptor
        self.size = size
        try:
            self.map = mmap(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def create(cls, size: int, name: str) -> "SharedMemory":
        """New memory of at least one byte, all zero. Pages take memory when they are first written.

        Raises:
            OSError: There is no descriptor or no memory left.
        """
        descriptor = os.memfd_create(f"foldserve-{name}", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, max(1, size))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, max(1, size))

    @classmethod
    def attach(cls, descriptor: int) -> "SharedMemory":
        """Maps all of a memfd that another process made.

        Raises:
            OSError: It cannot be mapped.
        """
        return cls(descriptor, os.fstat(descriptor).st_size)

    def close(self) -> None:
        """Closes the descriptor. The mapping goes with the last array that shares it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
