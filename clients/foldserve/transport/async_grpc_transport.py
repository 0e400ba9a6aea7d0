"""The transport of `AsyncClient`: grpc on the running event loop."""

import asyncio
import itertools
import time
from typing import Any

import grpc
import grpc.aio

from .channel import ChannelSettings
from .grpc_failure import call_failure
from .protocol import CallResponse, Reply, UnaryCall


class AsyncGrpcTransport:
    """Transport over one or more channels, used in turn; they open at the first call, on its event loop."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings
        self._channels: list[Any] = []
        self._turn = itertools.count()

    def start(self, call: UnaryCall) -> "AsyncGrpcPendingCall":
        """Starts a call on the next channel."""
        if not self._channels:
            self._channels = [_open(self._settings) for _ in range(self._settings.channels)]
        channel = self._channels[next(self._turn) % len(self._channels)]
        method = channel.unary_unary(call.path)
        return AsyncGrpcPendingCall(method(call.body, timeout=call.timeout, metadata=self._settings.metadata()))

    def now(self) -> float:
        """Returns the monotonic clock's seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Suspends this coroutine for some seconds."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Closes the connections; calls in flight are cancelled."""
        for channel in self._channels:
            await channel.close()


class AsyncGrpcPendingCall:
    """A call that grpc carries out."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def wait(self) -> Reply:
        """Waits until the reply arrives."""
        try:
            return CallResponse(await self._call)
        except grpc.aio.AioRpcError as error:
            return call_failure(error.code(), error.details(), error.trailing_metadata())

    def cancel(self) -> None:
        """Cancels the call."""
        self._call.cancel()


def _open(settings: ChannelSettings) -> Any:
    if settings.credentials is None:
        return grpc.aio.insecure_channel(settings.address, options=settings.options)
    return grpc.aio.secure_channel(settings.address, settings.credentials, options=settings.options)
