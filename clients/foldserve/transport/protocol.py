"""Interface of a transport: start a call, wait for its reply, sleep, read the clock."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from ..status import Status


@dataclass(frozen=True, slots=True)
class UnaryCall:
    """Unary call.

    Attributes:
        path: `/package.Service/Method`.
        body: The serialized request.
        timeout: Seconds after which the transport reports DEADLINE_EXCEEDED.
    """

    path: str
    body: bytes
    timeout: float


@dataclass(frozen=True, slots=True)
class CallResponse:
    """Reply to a call that succeeded, with the serialized response."""

    body: bytes


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Reply to a call that failed.

    Attributes:
        status: The status code; never OK.
        message: The server's message, or the transport's if no server was reached.
        pushback: Seconds that the server asks to wait before a retry; negative forbids it; None if not sent.
    """

    status: Status
    message: str
    pushback: float | None = None


Reply: TypeAlias = CallResponse | CallFailure


class PendingCall(Protocol):
    """A call in flight."""

    def cancel(self) -> None:
        """Cancels the call; does nothing once it has ended."""


class SyncPendingCall(PendingCall, Protocol):
    """A call in flight whose reply a thread waits for."""

    def wait(self) -> Reply:
        """Blocks until the reply arrives. A failed call is a `CallFailure`, not an exception."""


class AsyncPendingCall(PendingCall, Protocol):
    """A call in flight whose reply a coroutine waits for."""

    async def wait(self) -> Reply:
        """Waits until the reply arrives. A failed call is a `CallFailure`, not an exception."""


PendingT = TypeVar("PendingT", bound=PendingCall)
PendingT_co = TypeVar("PendingT_co", bound=PendingCall, covariant=True)


class CallStarter(Protocol[PendingT_co]):
    """Common part of both kinds of transport: starting a call never waits."""

    def start(self, call: UnaryCall) -> PendingT_co:
        """Starts a call and returns at once."""

    def now(self) -> float:
        """Returns the seconds of a clock that never goes back."""


class Transport(CallStarter[SyncPendingCall], Protocol):
    """The transport of a `Client`; its `start` may be called from many threads."""

    def sleep(self, seconds: float) -> None:
        """Waits for some seconds of the clock of `now`."""

    def close(self) -> None:
        """Closes all connections."""


class AsyncTransport(CallStarter[AsyncPendingCall], Protocol):
    """The transport of an `AsyncClient`."""

    async def sleep(self, seconds: float) -> None:
        """Waits for some seconds of the clock of `now`."""

    async def close(self) -> None:
        """Closes all connections."""
