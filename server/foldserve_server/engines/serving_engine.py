"""Engine processes as the core asks for them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import Array, Arrays
from foldserve_engine.gate.golden_check import OutputVerdict
from foldserve_engine.link.batch_stats import SIZE_BOUNDS, WAIT_BOUNDS_US, BatchStats
from foldserve_engine.protocol import EngineKind

from ..models.engine import BatchingInfo, EngineLoad, OutputDeviation
from ..predict.shadow import Mirror
from ..stats.drift import Drift
from ..stats.telemetry import Histogram
from . import EngineState, LoadReport, QueueState, StateHook


class EngineBackend(Protocol):
    """What runs an engine, as far as it is asked; see `engines.EngineProcess`.

    Attributes:
        report: What it said when it was ready.
        state: Whether it answers now.
        restarts: How often it was started again.
        on_state: Called with every new state and its reason.
    """

    report: LoadReport
    state: EngineState
    restarts: int
    on_state: StateHook | None

    @property
    def available(self) -> bool:
        """Whether it takes requests now."""

    @property
    def stats(self) -> BatchStats:
        """What batches it was given."""

    @property
    def batches(self) -> int:
        """How many batches the process has begun."""

    @property
    def queue(self) -> QueueState:
        """What waits or is computed."""

    @property
    def computing(self) -> int:
        """Requests in the batch that runs."""

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """The outputs for one request."""

    async def stop(self, grace_s: float) -> None:
        """Takes no more requests, answers what was accepted, and ends."""


class ServingEngine:
    """An engine process behind the core's protocol.

    Attributes:
        process: What runs it.
        mirror: The second engine that a share of its requests is shown to.
    """

    def __init__(self, process: EngineBackend, kind: EngineKind, path: Path, mirror: Mirror | None = None) -> None:
        self.process = process
        self._kind = kind
        self._path = path
        self.mirror = mirror

    @property
    def path(self) -> Path:
        """The version directory it was loaded from."""
        return self._path

    @property
    def manifest(self) -> Manifest:
        """What its bundle says."""
        return self.process.report.manifest

    @property
    def max_batch_size(self) -> int:
        """The most rows it runs at once."""
        return self.process.report.max_batch_size

    @property
    def digest(self) -> str:
        """SHA-256 of the `bundle.json` it was loaded from."""
        return self.process.report.digest

    @property
    def kind(self) -> str:
        """`onnxruntime` or `tensorflow`."""
        return self._kind.value

    @property
    def verdicts(self) -> tuple[OutputDeviation, ...]:
        """What the gate measured, by output."""
        return tuple(
            OutputDeviation(one.output, one.deviation, one.bound) for one in self.process.report.verdict.outputs
        )

    @property
    def drift(self) -> Drift | None:
        """How far a shadow engine's answers are from its own."""
        return self.mirror.drift if self.mirror else None

    @property
    def summary(self) -> str:
        """Its kind, and how its golden samples came back."""
        if self.caveat:
            return f"{self._kind.value}, unverified"
        worst = max(self.process.report.verdict.outputs, key=_share)
        said = [
            f"{self._kind.value}, golden deviation {one_figure(worst.deviation)} of {one_figure(worst.bound)} allowed"
        ]
        if self.process.report.deterministic:
            said.append(f"exact in batches of {self.process.report.exact_rows}")
        if self.process.report.placement:
            said.append(f"on {self.process.report.placement}")
        if self.mirror is not None:
            said.append(f"shadowed by {self.mirror.drift.engine}")
        return "; ".join(said)

    @property
    def load(self) -> EngineLoad:
        """What it has to do, and has done."""
        queue, stats = self.process.queue, self.process.stats
        return EngineLoad(
            rows=queue.rows,
            bytes=queue.bytes,
            max_rows=queue.max_rows,
            max_bytes=queue.max_bytes,
            restarts=self.process.restarts,
            sizes=Histogram(SIZE_BOUNDS, list(stats.sizes), stats.rows),
            waits=Histogram(WAIT_BOUNDS_US, list(stats.waits), stats.waited_ns / 1000),
            padding=stats.padding,
            pending=max(0, queue.requests - self.process.computing),
            requests=Histogram(SIZE_BOUNDS, list(stats.requests), stats.asked),
            buckets={size: Histogram(SIZE_BOUNDS, list(one.counts), one.rows) for size, one in stats.buckets},
        )

    @property
    def caveat(self) -> str:
        """What operators should know of it although it serves."""
        if self.process.report.verified:
            return ""
        return f"it is served unverified: it has no {MANIFEST}, so that nothing is known of what it should answer"

    @property
    def seconds(self) -> float:
        """See `models.engine.ModelEngine`."""
        return self.process.report.seconds

    @property
    def warm_seconds(self) -> float:
        """See `models.engine.ModelEngine`."""
        return self.process.report.stages.get("warm", 0.0)

    @property
    def batching(self) -> BatchingInfo:
        """See `models.engine.ModelEngine`."""
        report = self.process.report
        sizes = (report.exact_rows,) if report.deterministic else report.buckets
        return BatchingInfo(report.device, sizes, report.together, report.delay_us)

    @property
    def batches(self) -> str:
        """See `models.engine.ModelEngine`."""
        return self.process.report.batches

    @property
    def details(self) -> str:
        """How long each stage of its start took, and its process."""
        report = self.process.report
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in report.stages.items())
        return f"{report.seconds:.2f} s: {stages}; pid {report.pid}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.report.pid

    @property
    def available(self) -> bool:
        """Whether it answers now."""
        return self.process.available

    def watch(self, changed: Callable[[], None], ended: Callable[[str], None]) -> None:
        """See `models.engine.ModelEngine`."""

        def on_state(state: EngineState, reason: str) -> None:
            if state is EngineState.ENDED:
                ended(reason)
            changed()

        self.process.on_state = on_state
        if self.process.state is EngineState.ENDED:
            ended("it ended as soon as it was ready")

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool = False) -> Mapping[str, Array]:
        """See `models.engine.ModelEngine`."""
        outputs = await self.process.predict(inputs, deadline_ns, exact)
        if self.mirror is not None:
            self.mirror.show(inputs, outputs)
        return outputs

    async def stop(self, grace_s: float) -> None:
        """See `models.engine.ModelEngine`."""
        try:
            await self.process.stop(grace_s)
        finally:
            self.process.on_state = None  # no cycle keeps its shared memory until the garbage is collected
            if self.mirror is not None:
                await self.mirror.close()


def one_figure(value: float) -> str:
    """One figure: `3e-8`, `0.02`."""
    return re.sub(r"e([-+])0+", r"e\1", f"{value:.1g}")


def _share(verdict: OutputVerdict) -> float:
    return verdict.deviation / verdict.bound if verdict.bound else verdict.deviation
