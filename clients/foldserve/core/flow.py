"""Flows, and the two drivers that run them."""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ..transport.protocol import AsyncPendingCall, PendingT, Reply, SyncPendingCall

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait(Generic[PendingT]):
    """Effect: the flow is resumed with the reply of a call."""

    pending: PendingT


@dataclass(frozen=True, slots=True)
class Sleep:
    """Effect: the flow is resumed after some seconds."""

    seconds: float


Flow: TypeAlias = Generator[Wait[PendingT] | Sleep, Reply | None, T]


def reply_of(pending: PendingT) -> Flow[PendingT, Reply]:
    """Waits for the reply of a call."""
    reply = yield Wait(pending)
    assert reply is not None, "a driver resumes Wait with the reply"
    return reply


def drive(flow: Flow[SyncPendingCall, T], sleep: Callable[[float], None]) -> T:
    """Runs a flow to its end on this thread; an interrupted wait closes the flow."""
    reply: Reply | None = None
    try:
        while True:
            effect = flow.send(reply)
            reply = None
            if isinstance(effect, Wait):
                reply = effect.pending.wait()
            else:
                sleep(effect.seconds)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # typeshed has no type for it
    finally:
        flow.close()


async def adrive(flow: Flow[AsyncPendingCall, T], sleep: Callable[[float], Awaitable[None]]) -> T:
    """Runs a flow to its end on the running event loop; cancelling the caller closes the flow."""
    reply: Reply | None = None
    try:
        while True:
            try:
                effect = flow.send(reply)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            reply = None
            if isinstance(effect, Wait):
                reply = await effect.pending.wait()
            else:
                await sleep(effect.seconds)
    finally:
        flow.close()
