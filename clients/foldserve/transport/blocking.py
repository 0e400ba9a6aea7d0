"""The transport of `Client`: grpc's threads."""

import itertools
import time
from typing import Any

import grpc

from ..status import Status
from .connection import Connection
from .failure import failure
from .protocol import Answer, Call, Failure, Reply


class GrpcTransport:
    """Calls over one or more channels in turn."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels = [_open(connection) for _ in range(connection.channels)]
        self._turn = itertools.count()

    def start(self, call: Call) -> "GrpcPending":
        """Begins a call on the next channel."""
        channel = self._channels[next(self._turn) % len(self._channels)]
        method = channel.unary_unary(call.path, None, None)  # bytes in, bytes out
        return GrpcPending(method.future(call.body, timeout=call.timeout, metadata=self._connection.metadata()))

    def now(self) -> float:
        """The monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Blocks this thread."""
        time.sleep(seconds)

    def close(self) -> None:
        """Ends the connections; calls in flight are cancelled."""
        for channel in self._channels:
            channel.close()


class GrpcPending:
    """A call in grpc's hands."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def wait(self) -> Reply:
        """Blocks until the reply is there."""
        try:
            return Answer(self._future.result())
        except grpc.FutureCancelledError:
            return Failure(Status.CANCELLED, "the call was cancelled")
        except grpc.RpcError:
            return failure(self._future.code(), self._future.details(), self._future.trailing_metadata())

    def cancel(self) -> None:
        """Gives the call up."""
        self._future.cancel()


def _open(connection: Connection) -> grpc.Channel:
    if connection.credentials is None:
        return grpc.insecure_channel(connection.address, connection.options)
    return grpc.secure_channel(connection.address, connection.credentials, connection.options)
