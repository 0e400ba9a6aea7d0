"""Protocol of a model version's engine: what was loaded, its load, and its predictions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import Array, Arrays

from ..stats.metric_counters import Histogram
from ..stats.shadow_deviation import Drift


@dataclass(frozen=True, slots=True)
class OutputDeviation:
    """The worst deviation of any golden sample in one output, and the promised bound."""

    output: str
    deviation: float
    bound: float


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The work of an engine: what waits, what may wait, and what was done.

    Attributes:
        rows: Rows that wait or are computed.
        bytes: Bytes of them.
        max_rows: Most rows that may.
        max_bytes: Most bytes that may.
        restarts: Restarts after crashes.
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
    """Batching: how requests become batches.

    Attributes:
        device: Where batches are computed: `cpu`, or a library and a GPU, such as `cuda:0`.
        sizes: The sizes that batches are padded up to; empty where they are not.
        together: Whether requests share batches.
        delay_us: Microseconds that an unfilled batch waits for more rows.
    """

    device: str = "cpu"
    sizes: tuple[int, ...] = ()
    together: bool = True
    delay_us: int = 0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """An engine as it was loaded, warmed and checked; a restart replaces it as a whole.

    Attributes:
        path: The version directory it was loaded from.
        manifest: The bundle's manifest.
        digest: SHA-256 of the `bundle.json` it was loaded from.
        kind: Its library: `onnxruntime` or `tensorflow`.
        max_batch_size: Most rows of a batch.
        verdicts: The gate's measurements, by output.
        batching: How requests become batches.
        batches: For people: sizes of the batches it computes, and which of them were warmed.
        summary: For people, one line: engine, golden deviation, bound.
        details: For the log: seconds of each stage of its start, process.
        caveat: For operators: what to know of it although it serves; empty where there is nothing.
        seconds: Seconds from the start of its process until it could serve.
        warm_seconds: Seconds of that in which it warmed its batch sizes.
        pid: Its process.
    """

    path: Path
    manifest: Manifest
    digest: str
    kind: str
    max_batch_size: int
    verdicts: tuple[OutputDeviation, ...]
    batching: BatchingInfo
    batches: str
    summary: str
    details: str
    caveat: str
    seconds: float
    warm_seconds: float
    pid: int


class ModelEngine(Protocol):
    """Version of a model, loaded, warmed and found to answer as it was verified."""

    @property
    def info(self) -> EngineInfo:
        """The engine as it was loaded."""

    @property
    def load(self) -> EngineLoad:
        """Its work at this moment."""

    @property
    def drift(self) -> Drift | None:
        """Deviations of a shadow engine's answers from its own; None without a shadow engine."""

    @property
    def available(self) -> bool:
        """True if it answers now; not while it is restarted after a crash."""

    def watch(self, changed: Callable[[], None], ended: Callable[[str], None]) -> None:
        """Registers callbacks: for every change of `available`, and for its end for good, with the reason."""

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
