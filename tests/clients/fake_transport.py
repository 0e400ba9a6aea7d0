"""Transports without a network, with a clock of their own."""

from collections import deque
from collections.abc import Callable

from foldserve.transport.protocol import Reply, UnaryCall

Script = Callable[[UnaryCall], Reply]


class Clock:
    """A clock that moves only by sleeps, and records them."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def pass_by(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class FakeTransport:
    """Transport whose script answers each call when it is waited for."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.clock = Clock()
        self.calls: list[UnaryCall] = []
        self.cancelled: list[UnaryCall] = []
        self.waiting: deque[UnaryCall] = deque()
        self.most_waiting = 0
        self.closed = 0

    def start(self, call: UnaryCall) -> "FakePending":
        self.calls.append(call)
        self.waiting.append(call)
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        return FakePending(self, call)

    def now(self) -> float:
        return self.clock.time

    def sleep(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    def close(self) -> None:
        self.closed += 1


class FakePending:
    def __init__(self, transport: FakeTransport, call: UnaryCall) -> None:
        self._transport = transport
        self._call = call
        self._waits = True

    def wait(self) -> Reply:
        self._end()
        return self._transport.script(self._call)

    def cancel(self) -> None:
        if self._waits:
            self._transport.cancelled.append(self._call)
        self._end()

    def _end(self) -> None:
        if self._waits:
            self._transport.waiting.remove(self._call)
        self._waits = False


class AsyncFakeTransport(FakeTransport):
    """Transport for coroutines; see `FakeTransport`."""

    def start(self, call: UnaryCall) -> "AsyncFakePending":  # type: ignore[override]
        return AsyncFakePending(super().start(call))

    async def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.clock.pass_by(seconds)

    async def close(self) -> None:  # type: ignore[override]
        self.closed += 1


class AsyncFakePending:
    def __init__(self, pending: FakePending) -> None:
        self._pending = pending

    async def wait(self) -> Reply:
        return self._pending.wait()

    def cancel(self) -> None:
        self._pending.cancel()
