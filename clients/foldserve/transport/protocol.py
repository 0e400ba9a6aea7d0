"""What a client asks of a transport: begin a call, wait for it, sleep, tell the time."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from ..status import Status


@dataclass(frozen=True, slots=True)
class Call:
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
class Answer:
    """A call that succeeded, with the serialized response."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed.

    Attributes:
        status: Why; never OK.
        message: In the server's words, or the transport's where no server was reached.
        pushback: Seconds the server asks to stay away; negative forbids a retry; None where it says nothing.
    """

    status: Status
    message: str
    pushback: float | None = None


Reply: TypeAlias = Answer | Failure


class Pending(Protocol):
    """A call that has begun."""

    def cancel(self) -> None:
        """Gives the call up; harmless once it has ended."""


class SyncPending(Pending, Protocol):
    """A call whose reply a thread waits for."""

    def wait(self) -> Reply:
        """Blocks until the reply is there. A failed call is a `Failure`, not an exception."""


class AsyncPending(Pending, Protocol):
    """A call whose reply a coroutine waits for."""

    async def wait(self) -> Reply:
        """Waits until the reply is there. A failed call is a `Failure`, not an exception."""


PendingT = TypeVar("PendingT", bound=Pending)
PendingT_co = TypeVar("PendingT_co", bound=Pending, covariant=True)


class Starter(Protocol[PendingT_co]):
    """What both kinds of transport share: beginning a call takes no waiting."""

    def start(self, call: Call) -> PendingT_co:
        """Begins a call and returns at once."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""


class Transport(Starter[SyncPending], Protocol):
    """The transport of a `Client`; its `start` may be called from many threads."""

    def sleep(self, seconds: float) -> None:
        """Lets time pass on the clock of `now`."""

    def close(self) -> None:
        """Ends all connections."""


class AsyncTransport(Starter[AsyncPending], Protocol):
    """The transport of an `AsyncClient`."""

    async def sleep(self, seconds: float) -> None:
        """Lets time pass on the clock of `now`."""

    async def close(self) -> None:
        """Ends all connections."""
