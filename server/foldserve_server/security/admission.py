"""Who is being answered, and whether anybody more is let in."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import QueueFull, Unavailable

_LOOK_S = 0.02
_LOOKS = 10


class AdmissionGate:
    """Lets calls in until it is shut; those who come later wait outside until they are sent away.

    gRPC, when it is stopped, cancels calls that have arrived and that Python has not yet seen. So they are all let
    arrive first: who waits here asks for nothing more, and is told to go elsewhere when the stop has begun.

    Args:
        max_bytes: Most bytes of requests that may be inside; None for any number.
        max_calls: Most calls that may be inside; None for any number.
        on_bytes: Told how many bytes come in.

    Attributes:
        knocks: How many came when it was shut.
    """

    def __init__(
        self,
        max_bytes: int | None = None,
        max_calls: int | None = None,
        on_bytes: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._on_bytes = on_bytes
        self._max_bytes = max_bytes
        self._max_calls = max_calls
        self._bytes = 0
        self._shut = False
        self._inside = 0
        self.knocks = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._dismissed = asyncio.Event()

    @property
    def bytes(self) -> int:
        """Bytes of the requests that are inside."""
        return self._bytes

    async def knock(self) -> None:
        """Returns at once while the door is open.

        Raises:
            Unavailable: It is shut.
        """
        if self._shut:
            self.knocks += 1
            await self._dismissed.wait()
            raise Unavailable("the server is stopping; ask another one, or try again later")

    @contextmanager
    def inside(self, size: int = 0) -> Iterator["Admission"]:
        """A call of so many bytes that is being answered.

        Raises:
            QueueFull: There is no room for it beside the others.
        """
        if self._max_calls is not None and self._inside >= self._max_calls:
            raise QueueFull(f"{self._inside:,} calls are being answered, which is as many as may be; try again later")
        visit = Admission(self)
        visit.carry(size)
        self._inside += 1
        self._empty.clear()
        try:
            yield visit
        finally:
            self._bytes -= visit.bytes
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    def admit(self, size: int, own: int) -> None:
        """Lets in so many bytes more of a call that has brought `own` bytes already.

        Raises:
            QueueFull: There is no room for them beside the others.
        """
        others = self._bytes - own
        if self._max_bytes is not None and others and self._bytes + size > self._max_bytes:
            raise QueueFull(f"requests of {others:,} bytes are being answered; try again later")
        self._bytes += size
        self._on_bytes(size)

    async def shut(self) -> None:
        """Lets nobody in any more; returns when everybody inside was answered and the knocking has ceased."""
        self._shut = True
        await self._empty.wait()
        for _ in range(_LOOKS):
            knocks = self.knocks
            await asyncio.sleep(_LOOK_S)
            if knocks == self.knocks:
                return

    def dismiss(self) -> None:
        """Sends away who knocked."""
        self._shut = True
        self._dismissed.set()


class Admission:
    """A call that is inside, and may turn out to be larger than it seemed.

    Attributes:
        bytes: What it has brought.
    """

    def __init__(self, door: AdmissionGate) -> None:
        self._door = door
        self.bytes = 0

    def carry(self, size: int) -> None:
        """It brings so many bytes more.

        Raises:
            QueueFull: There is no room for them beside the others.
        """
        self._door.admit(size, self.bytes)
        self.bytes += size
