"""All that a client does, as flows: what `Client` and `AsyncClient` have in common."""

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
    """How a client behaves.

    Attributes:
        timeout: Seconds a call may take where it does not say itself.
        retry: When UNAVAILABLE is retried.
        chunk: How large arrays are cut.
        in_flight: How many chunks are on their way at once.
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
    """Flows over one transport; each method checks its arguments when it is called, before any waiting."""

    def __init__(self, transport: CallStarter[PendingT], policy: CallPolicy) -> None:
        self._transport = transport
        self._policy = policy
        self._sender = Sender(transport, policy.retry)
        self._metadata = MetadataCache(self._sender)
        self._predictor = ChunkedPredictor(self._sender, self._metadata, policy.chunk, policy.in_flight)
        self._closed = False

    def predict(
        self, address: ModelAddress, inputs: Any, outputs: Sequence[str] | None, timeout: float | None
    ) -> Flow[PendingT, Prediction]:
        """One prediction, whatever its size."""
        return self._predictor.predict(PredictArguments(address, inputs, _names(outputs), self._deadline(timeout)))

    def metadata(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, Signature]:
        """What the model takes and gives, asked anew."""
        deadline = self._deadline(timeout)
        found = yield from self._metadata.fetch(address, deadline)
        return found.signature()

    def version(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, int]:
        """The number of the version the server takes for the address."""
        found = yield from self._metadata.fetch(address, self._deadline(timeout))
        return found.version

    def status(self, address: ModelAddress, timeout: float | None) -> Flow[PendingT, tuple[VersionStatus, ...]]:
        """The versions of a model and their states."""
        return model_status(self._sender, address, self._deadline(timeout))

    def wait_ready(self, address: ModelAddress | None, timeout: float | None) -> Flow[PendingT, None]:
        """Waits for a model, or for the server."""
        return wait_ready(self._sender, address, self._deadline(timeout))

    def pipeline(
        self, address: ModelAddress, batches: Iterable[Any], outputs: Sequence[str] | None, timeout: float | None
    ) -> Flow[PendingT, Pipeline[PendingT]]:
        """The predictions of batches of the caller's own making, all from one version; each has its own deadline."""
        deadline = self._deadline(timeout)
        metadata = self._metadata.cached(address) or (yield from self._metadata.fetch(address, deadline))
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
        """Refuses further calls; whether the client was open."""
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


def unnamed(prediction: Prediction, inputs: Any) -> Any:
    """The answer in the form of the question: names for names, else the array of an only output."""
    if isinstance(inputs, Mapping) or len(prediction.outputs) != 1:
        return prediction.outputs
    return next(iter(prediction.outputs.values()))
