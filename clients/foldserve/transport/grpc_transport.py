"""The transport of `Client`: grpc with its threads."""

import itertools
import time
from typing import Any

import grpc

from ..status import Status
from .channel import ChannelSettings
from .grpc_failure import call_failure
from .protocol import CallFailure, CallResponse, Reply, UnaryCall


class GrpcTransport:
    """Transport over one or more channels, used in turn."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings
        self._channels = [_open(settings) for _ in range(settings.channels)]
        self._turn = itertools.count()

    def start(self, call: UnaryCall) -> "GrpcPendingCall":
        """Starts a call on the next channel."""
        channel = self._channels[next(self._turn) % len(self._channels)]
        method = channel.unary_unary(call.path, None, None)  # bytes in, bytes out
        return GrpcPendingCall(method.future(call.body, timeout=call.timeout, metadata=self._settings.metadata()))

    def now(self) -> float:
        """Returns the monotonic clock's seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Blocks this thread for some seconds."""
        time.sleep(seconds)

    def close(self) -> None:
        """Closes the connections; calls in flight are cancelled."""
        for channel in self._channels:
            channel.close()


class GrpcPendingCall:
    """A call that grpc carries out."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def wait(self) -> Reply:
        """Blocks until the reply arrives."""
        try:
            return CallResponse(self._future.result())
        except grpc.FutureCancelledError:
            return CallFailure(Status.CANCELLED, "the call was cancelled")
        except grpc.RpcError:
            return call_failure(self._future.code(), self._future.details(), self._future.trailing_metadata())

    def cancel(self) -> None:
        """Cancels the call."""
        self._future.cancel()


def _open(settings: ChannelSettings) -> grpc.Channel:
    if settings.credentials is None:
        return grpc.insecure_channel(settings.address, settings.options)
    return grpc.secure_channel(settings.address, settings.credentials, settings.options)
