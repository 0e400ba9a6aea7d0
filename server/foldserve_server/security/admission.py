"""Admission control: bounds concurrent calls and bytes, and drains on shutdown."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import QueueFull, Unavailable

_QUIET_S = 0.02
_MAX_CHECKS = 10


class AdmissionGate:
    """Admits calls until it drains; calls that arrive later wait until it closes, and are then refused.

    A gRPC server that stops cancels the calls that have arrived and that Python has not yet seen. Late calls are
    therefore held until the stop has begun: a caller that waits sends nothing more, and is then sent to another server.

    Args:
        max_bytes: Most bytes of requests at a time; None for any number.
        max_calls: Most calls at a time; None for any number.
        on_bytes: Called with the number of bytes that are admitted.

    Attributes:
        late_calls: The number of calls that arrived after `drain`.
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
        self._draining = False
        self._calls = 0
        self.late_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = asyncio.Event()

    @property
    def inflight_bytes(self) -> int:
        """The bytes of the requests that are being answered."""
        return self._bytes

    async def check_open(self) -> None:
        """Returns at once while the gate admits calls; otherwise waits until it closes, and raises.

        Raises:
            Unavailable: The gate drains.
        """
        if self._draining:
            self.late_calls += 1
            await self._closed.wait()
            raise Unavailable("the server is stopping; ask another one, or try again later")

    @contextmanager
    def admit(self, size: int = 0) -> Iterator["Admission"]:
        """Admits a call of `size` bytes for as long as the block runs.

        Raises:
            QueueFull: The call does not fit beside the others.
        """
        if self._max_calls is not None and self._calls >= self._max_calls:
            raise QueueFull(f"{self._calls:,} calls are being answered, as many as are allowed; try again later")
        admission = Admission(self)
        admission.grow(size)
        self._calls += 1
        self._idle.clear()
        try:
            yield admission
        finally:
            self._bytes -= admission.size
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    def reserve(self, size: int, own: int) -> None:
        """Reserves `size` more bytes for a call that holds `own` bytes already.

        Raises:
            QueueFull: The bytes do not fit beside those of the other calls.
        """
        others = self._bytes - own
        if self._max_bytes is not None and others and self._bytes + size > self._max_bytes:
            raise QueueFull(f"requests of {others:,} bytes are being answered; try again later")
        self._bytes += size
        self._on_bytes(size)

    async def drain(self) -> None:
        """Stops admitting calls; returns when those that were admitted are over and no more calls arrive."""
        self._draining = True
        await self._idle.wait()
        for _ in range(_MAX_CHECKS):
            late_calls = self.late_calls
            await asyncio.sleep(_QUIET_S)
            if late_calls == self.late_calls:
                return

    def close(self) -> None:
        """Refuses the calls that wait, and every later one."""
        self._draining = True
        self._closed.set()


class Admission:
    """An admitted call, which may turn out to be larger than its headers announced.

    Attributes:
        size: The bytes reserved for it.
    """

    def __init__(self, gate: AdmissionGate) -> None:
        self._gate = gate
        self.size = 0

    def grow(self, size: int) -> None:
        """Reserves `size` more bytes.

        Raises:
            QueueFull: The bytes do not fit beside those of the other calls.
        """
        self._gate.reserve(size, self.size)
        self.size += size
