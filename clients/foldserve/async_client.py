"""The client for coroutines: `Client` with methods to await."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, overload

import grpc
from numpy.typing import ArrayLike

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature

from .core.address import ModelAddress
from .core.chunks import ChunkSize
from .core.client_flows import DEFAULT_TIMEOUT, CallPolicy, ClientFlows, named_or_only
from .core.flow import Flow, T, adrive
from .core.prediction import Prediction
from .retry import Retry
from .status import VersionStatus
from .stream import AsyncPredictionStream
from .transport.async_grpc_transport import AsyncGrpcTransport
from .transport.channel import Token, channel_settings
from .transport.protocol import AsyncPendingCall, AsyncTransport
from .transport.tls import TlsFiles


class AsyncClient:
    """Client for coroutines: the arguments, results and errors of `Client`, with methods to await.

    ```python
    async with AsyncClient("localhost:8500") as client:
        probabilities = await client.predict("flowers", images)
    ```
    An `AsyncClient` belongs to the event loop that makes its first call.
    """

    def __init__(
        self,
        target: str = "localhost:8500",
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        chunk: ChunkSize | None = None,
        in_flight: int = 4,
        channels: int = 1,
        tls: TlsFiles | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        policy = CallPolicy(timeout, retry or Retry(), chunk or ChunkSize(), in_flight)
        self._transport: AsyncTransport = transport or AsyncGrpcTransport(
            channel_settings(target, tls=tls, credentials=credentials, token=token, channels=channels)
        )
        self._flows = ClientFlows(self._transport, policy)

    @overload
    async def predict(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]: ...

    @overload
    async def predict(
        self,
        model: str,
        inputs: ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """See `Client.predict`."""
        address = ModelAddress(model, version, signature)
        return named_or_only(await self._drive(self._flows.predict(address, inputs, outputs, timeout)), inputs)

    async def predict_versioned(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Prediction:
        """See `Client.predict_versioned`."""
        address = ModelAddress(model, version, signature)
        return await self._drive(self._flows.predict(address, inputs, outputs, timeout))

    async def stream(
        self,
        model: str,
        batches: Iterable[Mapping[str, ArrayLike] | ArrayLike],
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> AsyncPredictionStream:
        """See `Client.stream`."""
        address = ModelAddress(model, version, signature)
        pipeline = await self._drive(self._flows.pipeline(address, batches, outputs, timeout))
        return AsyncPredictionStream(pipeline, self._transport.sleep)

    async def metadata(
        self,
        model: str,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        timeout: float | None = None,
    ) -> Signature:
        """See `Client.metadata`."""
        return await self._drive(self._flows.metadata(ModelAddress(model, version, signature), timeout))

    async def resolve(self, model: str, *, version: int | str | None = None, timeout: float | None = None) -> int:
        """See `Client.resolve`."""
        return await self._drive(self._flows.version(ModelAddress(model, version), timeout))

    async def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> tuple[VersionStatus, ...]:
        """See `Client.status`."""
        return await self._drive(self._flows.status(ModelAddress(model, version), timeout))

    async def wait_ready(
        self, model: str | None = None, *, version: int | None = None, timeout: float | None = None
    ) -> None:
        """See `Client.wait_ready`."""
        address = None if model is None else ModelAddress(model, version)
        await self._drive(self._flows.wait_ready(address, timeout))

    async def close(self) -> None:
        """See `Client.close`."""
        if self._flows.close():
            await self._transport.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _drive(self, flow: Flow[AsyncPendingCall, T]) -> T:
        return await adrive(flow, self._transport.sleep)
