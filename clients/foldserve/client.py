"""The blocking client."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, overload

import grpc
from numpy.typing import ArrayLike

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature

from .core.address import ModelAddress
from .core.chunks import ChunkSize
from .core.client_flows import DEFAULT_TIMEOUT, CallPolicy, ClientFlows, named_or_only
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
    """Client of a server with TensorFlow Serving's protocol: foldserve's, or TensorFlow Serving itself.

    ```python
    with Client("localhost:8500") as client:
        probabilities = client.predict("flowers", images)
    ```
    One client holds the connections and may be used by many threads at once; share it rather than make several.

    Args:
        target: `HOST:PORT`, `grpc://HOST:PORT`, `grpcs://HOST:PORT` (TLS) or `unix:PATH`.
        timeout: Seconds for a call, retries included, unless the call has its own timeout. Every call has a deadline.
        retry: Policy for calls that end as UNAVAILABLE.
        chunk: Size of the chunks that large arrays are sent in, one a request.
        in_flight: Most concurrent requests of one call.
        channels: Number of connections, used in turn; more than one helps where a single connection limits throughput.
        tls: Encryption with certificates from files.
        credentials: Encryption with credentials made by grpc, instead of `tls`.
        token: Bearer token, or a function that returns it, called for each call. Refused if it would be sent to another
            machine without encryption.
        transport: Replacement for grpc; `target` and all arguments that concern connections are then not used.

    Raises:
        ConfigurationError: The arguments are not valid.
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
        self._flows = ClientFlows(self._transport, policy)

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
        """Predicts the model's outputs for inputs of any number of rows.

        Large arrays are sent in chunks of rows. One version answers all chunks; if it is unloaded in between, the whole
        call is repeated with the next version.

        Args:
            model: The model's name.
            inputs: One array for a model with one input, else a mapping of names to arrays. The first axis is the
                batch. Arrays of the model's dtype are sent unchanged; other numbers are cast if nothing but rounding
                is lost (float64 → float32, int64 → uint8 if they fit), never floats to integers.
            version: A number, a label such as "canary", or None for the server's default.
            signature: The entry point.
            outputs: Names of the outputs wanted; None for all.
            timeout: Seconds for the whole call; None for the client's default.

        Returns:
            For a mapping, a dict of arrays by output name. For one array, the array of the only output, or such a dict
            if the model has several.

        Raises:
            TensorError: A value cannot be cast to what the model takes.
            ServerError: The server refused the call or was not reached; `foldserve.errors` lists the kinds.
            VersionGone: Versions were unloaded faster than the call could be answered.
        """
        address = ModelAddress(model, version, signature)
        return named_or_only(self._drive(self._flows.predict(address, inputs, outputs, timeout)), inputs)

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
        """Predicts as `predict` does; returns outputs by name in every case, and the version that answered."""
        address = ModelAddress(model, version, signature)
        return self._drive(self._flows.predict(address, inputs, outputs, timeout))

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
        """Streams predictions for batches, in order and all from one version, with the next requests in flight.

        Each batch is one request, taken from the iterable as soon as fewer than `in_flight` are in flight; `timeout`
        applies to each. If the version is unloaded in the middle, NotFound is raised, because predictions already
        returned cannot be taken back.
        """
        address = ModelAddress(model, version, signature)
        pipeline = self._drive(self._flows.pipeline(address, batches, outputs, timeout))
        return PredictionStream(pipeline, self._transport.sleep)

    def metadata(
        self,
        model: str,
        *,
        version: int | str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        timeout: float | None = None,
    ) -> Signature:
        """Fetches the model's signature; inputs and outputs are sorted by name.

        Raises:
            TensorError: The model takes or gives something other than rows of numbers.
        """
        return self._drive(self._flows.metadata(ModelAddress(model, version, signature), timeout))

    def resolve(self, model: str, *, version: int | str | None = None, timeout: float | None = None) -> int:
        """Fetches the number of the version that the server uses now for the model, or for a label."""
        return self._drive(self._flows.version(ModelAddress(model, version), timeout))

    def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> tuple[VersionStatus, ...]:
        """Fetches the states of the model's versions, newest first; only one if a version is given."""
        return self._drive(self._flows.status(ModelAddress(model, version), timeout))

    def wait_ready(self, model: str | None = None, *, version: int | None = None, timeout: float | None = None) -> None:
        """Waits until a version of the model is AVAILABLE; without a model, until the server is healthy.

        Raises:
            NotReady: The time is up; the message has the server's last reply.
        """
        address = None if model is None else ModelAddress(model, version)
        self._drive(self._flows.wait_ready(address, timeout))

    def close(self) -> None:
        """Closes the connections. Closing twice does nothing."""
        if self._flows.close():
            self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drive(self, flow: Flow[SyncPendingCall, T]) -> T:
        return drive(flow, self._transport.sleep)
