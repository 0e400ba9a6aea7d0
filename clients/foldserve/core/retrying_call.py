"""Calls with retries."""

import random
from dataclasses import dataclass, field
from typing import Generic

from ..errors import DeadlineExceeded, server_error
from ..retry import Retry
from ..status import Status
from ..transport.protocol import CallFailure, CallResponse, CallStarter, PendingT, UnaryCall
from .flow import Flow, Sleep, reply_of


@dataclass(frozen=True, slots=True)
class Sender(Generic[PendingT]):
    """Starts calls that are retried by a policy."""

    transport: CallStarter[PendingT]
    retry: Retry
    rng: random.Random = field(default_factory=random.Random)

    def begin(self, path: str, body: bytes, deadline: float) -> "RetryingCall[PendingT]":
        """Starts a call with a deadline on the transport's clock."""
        return RetryingCall(self, path, body, deadline)

    def call(self, path: str, body: bytes, deadline: float) -> Flow[PendingT, bytes]:
        """Starts a call and waits for its response."""
        attempt = self.begin(path, body, deadline)
        try:
            return (yield from attempt.response())
        finally:
            attempt.cancel()


class RetryingCall(Generic[PendingT]):
    """A call in flight, started when constructed; `response` starts it again when it ends as UNAVAILABLE."""

    def __init__(self, sender: Sender[PendingT], path: str, body: bytes, deadline: float) -> None:
        self._sender = sender
        self._path = path
        self._body = body
        self._deadline = deadline
        self._pending = self._start()

    def response(self) -> Flow[PendingT, bytes]:
        """Waits for the serialized response, with retries.

        Raises:
            ServerError: The server's refusal, if the policy or the deadline allows no further attempt.
        """
        attempt, last_message = 1, ""
        while True:
            reply = yield from reply_of(self._pending)
            if isinstance(reply, CallResponse):
                return reply.body
            delay = self._sender.retry.delay(attempt, reply, self._sender.rng)
            if delay is None or delay >= self._left():
                raise server_error(reply.status, _message(reply, attempt, last_message))
            last_message = reply.message
            yield Sleep(delay)
            self._pending = self._start()
            attempt += 1

    def cancel(self) -> None:
        """Cancels the call; does nothing once it has ended."""
        self._pending.cancel()

    def _left(self) -> float:
        return self._deadline - self._sender.transport.now()

    def _start(self) -> PendingT:
        left = self._left()
        if left <= 0:
            raise DeadlineExceeded(Status.DEADLINE_EXCEEDED, "the deadline passed before the call was made")
        return self._sender.transport.start(UnaryCall(self._path, self._body, left))


def _message(failure: CallFailure, attempts: int, last_message: str) -> str:
    if attempts == 1:
        return failure.message
    if failure.status is Status.DEADLINE_EXCEEDED:  # hides the reason of the attempts before
        return f"{failure.message} (after {attempts} attempts; the one before: {last_message})"
    return f"{failure.message} (after {attempts} attempts)"
