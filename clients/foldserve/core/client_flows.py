"""The operations of a client, as flows that `Client` and `AsyncClient` run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from foldserve_contract.signature import Signature

from ..errors import ClientClosed, ConfigurationError
from ..retry import Retry
from ..status import VersionStatus
from ..transport.protocol import CallStarter, PendingT
from .address import ModelAddress
from .chunked_predictor import ChunkedPredictor, PredictArguments
from .chunks import ChunkSize
from .flow import Flow
from .inputs import prepare_inputs
from .metadata_cache import MetadataCache
from .pipeline import Pipeline
from .prediction import Prediction
from .readiness import model_status, wait_ready
from .retrying_call import Sender

DEFAULT_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Defaults and limits of a client's calls.

    Attributes:
        timeout: Seconds for a call without a timeout of its own.
        retry: Policy for calls that end as UNAVAILABLE.
        chunk: Size of the chunks of large arrays.
        in_flight: Most concurrent requests of one call.
    """

    timeout: float = DEFAULT_TIMEOUT
    retry: Retry = field(default_factory=Retry)
    chunk: ChunkSize = field(default_factory=ChunkSize)
    in_flight: int = 4

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be above 0 seconds, received {self.timeout}")
        if self.in_flight < 1:
            raise ConfigurationError(f"in_flight must be at least 1, received {self.in_flight}")


class ClientFlows(Generic[PendingT]):
    """Flows over one transport; a method that takes a timeout checks it when called, before any waiting."""

    def __init__(self, transport: CallStarter[PendingT], policy: CallPolicy) -> None:
        self._transport = transport
        self._policy = policy
        self._sender = Sender(transport, policy.retry)
        self._metadata_cache = MetadataCache(self._sender)
        self._predictor = ChunkedPredictor(self._sender, self._metadata_cache, policy.chunk, policy.in_flight)
        self._closed = False

    def predict(
        self, address: ModelAddress, inputs: Any, outputs: Sequence[str] | None, timeout: float | None
    ) -> Flow[PendingT, Prediction]:
        """Predicts for inputs of any number of rows."""
        return self._predictor.predict(PredictArguments(address, inputs, _names(outputs), self._deadline(timeout)))

    def metadata(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, Signature]:
        """Fetches the model's signature."""
        deadline = self._deadline(timeout)
        metadata = yield from self._metadata_cache.fetch(address, deadline)
        return metadata.signature()

    def version(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, int]:
        """Fetches the number of the version that the server uses for the address."""
        metadata = yield from self._metadata_cache.fetch(address, self._deadline(timeout))
        return metadata.version

    def status(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, tuple[VersionStatus, ...]]:
        """Fetches the states of a model's versions."""
        return model_status(self._sender, address, self._deadline(timeout))

    def wait_ready(self, address: ModelAddress | None, timeout: float | None) -> Flow[PendingT, None]:
        """Waits until a model, or the server, is ready."""
        return wait_ready(self._sender, address, self._deadline(timeout))

    def pipeline(
        self, address: ModelAddress, batches: Iterable[Any], outputs: Sequence[str] | None, timeout: float | None
    ) -> Flow[PendingT, Pipeline[PendingT]]:
        """Makes a pipeline for the caller's batches, all for one version, each with a deadline of its own."""
        deadline = self._deadline(timeout)
        metadata = self._metadata_cache.get(address) or (yield from self._metadata_cache.fetch(address, deadline))
        return Pipeline(
            self._sender,
            address,
            iter(batches),
            prepare=lambda batch: prepare_inputs(batch, metadata, address),
            outputs=_names(outputs),
            in_flight=self._policy.in_flight,
            deadline=lambda: self._deadline(timeout),
        )

    def close(self) -> bool:
        """Refuses further calls; True if the client was open."""
        was_open, self._closed = not self._closed, True
        return was_open

    def _deadline(self, timeout: float | None) -> float:
        if self._closed:
            raise ClientClosed("this client has been closed; make a new one")
        seconds = self._policy.timeout if timeout is None else timeout
        if not seconds > 0:
            raise ConfigurationError(f"timeout must be above 0 seconds, received {seconds}")
        return self._transport.now() + seconds


def _names(outputs: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(outputs, str):
        raise ConfigurationError(f"outputs is a sequence of names, received {outputs!r}; did you mean [{outputs!r}]?")
    return tuple(outputs or ())


def named_or_only(prediction: Prediction, inputs: Any) -> Any:
    """Outputs in the form of the inputs: by name for inputs by name, else the array of the only output."""
    if isinstance(inputs, Mapping) or len(prediction.outputs) != 1:
        return prediction.outputs
    return next(iter(prediction.outputs.values()))
