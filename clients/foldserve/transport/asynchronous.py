"""The transport of `AsyncClient`: grpc on the running event loop."""

import asyncio
import itertools
import time
from typing import Any

import grpc
import grpc.aio

from .connection import Connection
from .failure import failure
from .protocol import Answer, Call, Reply


class AsyncGrpcTransport:
    """Calls over one or more channels in turn; the channels open at the first call, on the loop that makes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels: list[Any] = []
        self._turn = itertools.count()

    def start(self, call: Call) -> "AsyncGrpcPending":
        """Begins a call on the next channel."""
        if not self._channels:
            self._channels = [_open(self._connection) for _ in range(self._connection.channels)]
        channel = self._channels[next(self._turn) % len(self._channels)]
        method = channel.unary_unary(call.path)
        return AsyncGrpcPending(method(call.body, timeout=call.timeout, metadata=self._connection.metadata()))

    def now(self) -> float:
        """The monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Lets other coroutines run."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Ends the connections; calls in flight are cancelled."""
        for channel in self._channels:
            await channel.close()


class AsyncGrpcPending:
    """A call in grpc's hands."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def wait(self) -> Reply:
        """Waits until the reply is there."""
        try:
            return Answer(await self._call)
        except grpc.aio.AioRpcError as error:
            return failure(error.code(), error.details(), error.trailing_metadata())

    def cancel(self) -> None:
        """Gives the call up."""
        self._call.cancel()


def _open(connection: Connection) -> Any:
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.address, options=connection.options)
    return grpc.aio.secure_channel(connection.address, connection.credentials, options=connection.options)
