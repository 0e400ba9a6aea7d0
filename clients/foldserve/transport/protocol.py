"""What a client asks of a transport: begin a call, wait for it, sleep, tell the time."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from ..status import Status


@dataclass(frozen=True, slots=True)
class UnaryCall:
    """One unary call.

    Attributes:
        path: `/package.Service/Method`.
        body: The serialized request.
        timeout: Seconds after which the transport answers DEADLINE_EXCEEDED.
    """

    path: str
    body: bytes
    timeout: float


@dataclass(frozen=True, slots=True)
class CallResponse:
    """A call that succeeded, with the serialized response."""

    body: bytes


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A call that failed.

    Attributes:
        status: Why; never OK.
        message: In the server's words, or the transport's where no server was reached.
        pushback: Seconds the server asks to stay away; negative forbids a retry; None where it says nothing.
    """

    status: Status
    message: str
    pushback: float | None = None


Reply: TypeAlias = CallResponse | CallFailure


class PendingCall(Protocol):
    """A call that has begun."""

    def cancel(self) -> None:
        """Gives the call up; harmless once it has ended."""


class SyncPendingCall(PendingCall, Protocol):
    """A call whose reply a thread waits for."""

    def wait(self) -> Reply:
        """Blocks until the reply is there. A failed call is a `CallFailure`, not an exception."""


class AsyncPendingCall(PendingCall, Protocol):
    """A call whose reply a coroutine waits for."""

    async def wait(self) -> Reply:
        """Waits until the reply is there. A failed call is a `CallFailure`, not an exception."""


PendingT = TypeVar("PendingT", bound=PendingCall)
PendingT_co = TypeVar("PendingT_co", bound=PendingCall, covariant=True)


class CallStarter(Protocol[PendingT_co]):
    """What both kinds of transport share: beginning a call takes no waiting."""

    def start(self, call: UnaryCall) -> PendingT_co:
        """Begins a call and returns at once."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""


class Transport(CallStarter[SyncPendingCall], Protocol):
    """The transport of a `Client`; its `start` may be called from many threads."""

    def sleep(self, seconds: float) -> None:
        """Lets time pass on the clock of `now`."""

    def close(self) -> None:
        """Ends all connections."""


class AsyncTransport(CallStarter[AsyncPendingCall], Protocol):
    """The transport of an `AsyncClient`."""

    async def sleep(self, seconds: float) -> None:
        """Lets time pass on the clock of `now`."""

    async def close(self) -> None:
        """Ends all connections."""
