"""What the core asks of whatever runs a model."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import Array, Arrays

from ..stats.drift import Drift
from ..stats.telemetry import Histogram


@dataclass(frozen=True, slots=True)
class OutputDeviation:
    """How the golden samples came back in one output: the worst deviation of any, and what was promised."""

    output: str
    deviation: float
    bound: float


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine has to do, may have to do, and has done.

    Attributes:
        rows: Rows that wait or are computed.
        bytes: Bytes of them.
        max_rows: Rows that may.
        max_bytes: Bytes that may.
        restarts: Crashes after which it was started again.
        sizes: Rows of the batches, padding included.
        waits: Microseconds that requests waited for their batch.
        padding: Rows that were added to batches.
        pending: Requests that wait for their batch.
        requests: Rows of the requests.
        buckets: Rows that were added to batches, by the size they were padded up to.
    """

    rows: int = 0
    bytes: int = 0
    max_rows: int = 0
    max_bytes: int = 0
    restarts: int = 0
    sizes: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)
    padding: int = 0
    pending: int = 0
    requests: Histogram = field(default_factory=Histogram)
    buckets: Mapping[int, Histogram] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchingInfo:
    """How requests become batches.

    Attributes:
        device: Where they are computed: `cpu`, or a library and a GPU, such as `cuda:0`.
        sizes: The sizes that batches are padded up to; empty where they are not.
        together: Whether requests share batches.
        delay_us: How long an unfilled batch waits for more rows.
    """

    device: str = "cpu"
    sizes: tuple[int, ...] = ()
    together: bool = True
    delay_us: int = 0


class ModelEngine(Protocol):
    """One version of a model, loaded, warmed and found to answer as it was verified."""

    @property
    def path(self) -> Path:
        """The version directory it was loaded from."""

    @property
    def manifest(self) -> Manifest:
        """What its bundle says."""

    @property
    def max_batch_size(self) -> int:
        """The most rows it runs at once."""

    @property
    def digest(self) -> str:
        """SHA-256 of the `bundle.json` it was loaded from."""

    @property
    def kind(self) -> str:
        """`onnxruntime` or `tensorflow`."""

    @property
    def verdicts(self) -> tuple[OutputDeviation, ...]:
        """What the gate measured, by output."""

    @property
    def drift(self) -> Drift | None:
        """How far a shadow engine's answers are from its own; None where it has none."""

    @property
    def summary(self) -> str:
        """What an operator wants to know of it in a line: engine, golden deviation, bound."""

    @property
    def load(self) -> EngineLoad:
        """What it has to do, and has done."""

    @property
    def caveat(self) -> str:
        """What operators should know of it although it serves; empty where there is nothing."""

    @property
    def seconds(self) -> float:
        """How long it took from the start of its process until it could serve."""

    @property
    def warm_seconds(self) -> float:
        """How much of that it ran batches, so that callers need not wait for the first ones."""

    @property
    def batching(self) -> BatchingInfo:
        """How requests become batches."""

    @property
    def batches(self) -> str:
        """In batches of which sizes it computes, and which of them were warmed; for people."""

    @property
    def details(self) -> str:
        """What the log should keep of its start: seconds of each stage, process."""

    @property
    def available(self) -> bool:
        """Whether it answers now; not while it is started again after a crash."""

    def watch(self, changed: Callable[[], None], ended: Callable[[str], None]) -> None:
        """Says whom to tell that `available` changed, and that it ended for good, with the reason."""

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool = False) -> Mapping[str, Array]:
        """Every output for these inputs. A caller that leaves cancels.

        Args:
            inputs: Arrays that fit the signature.
            deadline_ns: When the caller stops waiting, on CLOCK_MONOTONIC.
            exact: Whether a row's bits must depend on nothing but the row.

        Raises:
            ServingError: It was not computed.
        """

    async def stop(self, grace_s: float) -> None:
        """Ends its process once what was accepted is answered, or after the grace."""


StartEngine = Callable[[str, Path], Awaitable[ModelEngine]]
"""Starts an engine for a model's version directory and passes it through the gate; raises `LoadFailed`."""
