"""The client that blocks."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, overload

import grpc
from numpy.typing import ArrayLike

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature

from .core.address import ModelAddress
from .core.chunks import ChunkSize
from .core.client_flows import DEFAULT_TIMEOUT, CallPolicy, ClientFlows, unnamed
from .core.flow import Flow, T, drive
from .core.prediction import Prediction
from .retry import Retry
from .status import VersionStatus
from .stream import PredictionStream
from .transport.channel import Token, channel_settings
from .transport.grpc_transport import GrpcTransport
from .transport.protocol import SyncPendingCall, Transport
from .transport.tls import TlsFiles


class Client:
    """Asks a server that speaks TensorFlow Serving's protocol: foldserve's, or TensorFlow Serving itself.

    ```python
    with Client("localhost:8500") as client:
        probabilities = client.predict("flowers", images)
    ```
    One client may be used by many threads at once, and should be: it holds the connections.

    Args:
        target: `HOST:PORT`, `grpc://HOST:PORT`, `grpcs://HOST:PORT` (TLS) or `unix:PATH`.
        timeout: Seconds a call may take, retries and all, where it does not say itself. There is no "forever".
        retry: When UNAVAILABLE is retried.
        chunk: How large a part of a big array goes into one request.
        in_flight: How many such requests are on their way at once.
        channels: How many connections calls take turns on; more than one where a connection is what limits.
        tls: Certificates to use, by file.
        credentials: The same as made with grpc, instead of `tls`.
        token: Sent as a bearer token, or a function that gives it anew for each call. Refused where it would travel
            in plain text to another machine.
        transport: Takes the place of grpc; `target` and what concerns connections is then not used.

    Raises:
        ConfigurationError: It cannot be made like this.
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
        transport: Transport | None = None,
    ) -> None:
        policy = CallPolicy(timeout, retry or Retry(), chunk or ChunkSize(), in_flight)
        self._transport: Transport = transport or GrpcTransport(
            channel_settings(target, tls=tls, credentials=credentials, token=token, channels=channels)
        )
        self._shared = ClientFlows(self._transport, policy)

    @overload
    def predict(
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
    def predict(
        self,
        model: str,
        inputs: ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...

    def predict(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The model's outputs for the inputs, whatever their size.

        Big arrays travel in chunks of rows; all of them are answered by one version, and if that one goes away in
        between, the whole call is repeated with the next.

        Args:
            model: The model's name.
            inputs: One array for a model with one input, else a mapping of names to arrays. The first axis is the
                batch. Arrays of the model's dtype are sent as they are; other numbers are cast where nothing but
                rounding is lost (float64 → float32, int64 → uint8 if they fit), never floats to integers.
            version: A number, a label such as "canary", or None for the one the server takes.
            signature: The entry point.
            outputs: The outputs wanted; None for all.
            timeout: Seconds for all of it; None for the client's.

        Returns:
            For a mapping, a dict of arrays by output. For one array, the array of the only output, or that dict if
            there are several.

        Raises:
            TensorError: A value cannot become what the model takes.
            ServerError: The server refused or was not reached; see `foldserve.errors` for the kinds.
            VersionGone: Versions went away faster than the call could be answered.
        """
        address = ModelAddress(model, version, signature)
        return unnamed(self._drive(self._shared.predict(address, inputs, outputs, timeout)), inputs)

    def predict_versioned(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Prediction:
        """As `predict`, with outputs always by name and the version that answered."""
        address = ModelAddress(model, version, signature)
        return self._drive(self._shared.predict(address, inputs, outputs, timeout))

    def stream(
        self,
        model: str,
        batches: Iterable[Mapping[str, ArrayLike] | ArrayLike],
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> PredictionStream:
        """The predictions for batches, in order and all from one version, while the next ones are on their way.

        Each batch is one request, taken from the iterable when there is room for it; `timeout` is for each of them.
        Where the version goes away in the middle, what was given out cannot be taken back: NotFound is raised.
        """
        address = ModelAddress(model, version, signature)
        pipeline = self._drive(self._shared.pipeline(address, batches, outputs, timeout))
        return PredictionStream(pipeline, self._transport.sleep)

    def metadata(
        self,
        model: str,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        timeout: float | None = None,
    ) -> Signature:
        """What the model takes and gives; inputs and outputs sorted by name.

        Raises:
            TensorError: Something else than rows of numbers, as a stock TensorFlow Serving may have it.
        """
        return self._drive(self._shared.metadata(ModelAddress(model, version, signature), timeout))

    def resolve(self, model: str, *, version: int | str | None = None, timeout: float | None = None) -> int:
        """The number of the version that the server takes now."""
        return self._drive(self._shared.version(ModelAddress(model, version), timeout))

    def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> tuple[VersionStatus, ...]:
        """The model's versions and their states, newest first; only that one if a version is named."""
        return self._drive(self._shared.status(ModelAddress(model, version), timeout))

    def wait_ready(self, model: str | None = None, *, version: int | None = None, timeout: float | None = None) -> None:
        """Waits until a version of the model is AVAILABLE, or without a model until the server is healthy.

        Raises:
            NotReady: It was not in time; the message has what the server said last.
        """
        address = None if model is None else ModelAddress(model, version)
        self._drive(self._shared.wait_ready(address, timeout))

    def close(self) -> None:
        """Ends the connections. Closing twice does nothing."""
        if self._shared.close():
            self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drive(self, flow: Flow[SyncPendingCall, T]) -> T:
        return drive(flow, self._transport.sleep)
