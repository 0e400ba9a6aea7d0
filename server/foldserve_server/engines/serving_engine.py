"""Serving engine: an engine process behind the protocol that predictions ask, with its shadow engine."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.signature import Array, Arrays
from foldserve_engine.gate.golden_check import OutputVerdict
from foldserve_engine.link.batch_stats import SIZE_BOUNDS, WAIT_BOUNDS_US, BatchStats
from foldserve_engine.spec import EngineKind

from ..models.model_engine import BatchingInfo, EngineInfo, EngineLoad, OutputDeviation
from ..predict.shadow import Mirror
from ..stats.metric_counters import Histogram
from ..stats.shadow_deviation import Drift
from . import EngineState, LoadReport, QueueState, StateHook

_UNVERIFIED = f"it is served unverified: it has no {MANIFEST}, so that nothing is known of what it should answer"


class EngineBackend(Protocol):
    """Backend of a serving engine: an engine process, here or supervised elsewhere; see `EngineProcess`.

    Attributes:
        report: Its load report.
        state: Whether it answers now.
        restarts: Number of restarts.
        on_state: Called with every new state and its reason.
    """

    report: LoadReport
    state: EngineState
    restarts: int
    on_state: StateHook | None

    @property
    def available(self) -> bool:
        """True if it accepts requests now."""

    @property
    def stats(self) -> BatchStats:
        """Statistics of its batches."""

    @property
    def batches(self) -> int:
        """Number of batches that the process has begun."""

    @property
    def queue(self) -> QueueState:
        """Requests that wait or are computed."""

    @property
    def computing(self) -> int:
        """Number of requests in the running batch."""

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """The outputs for one request."""

    async def stop(self, grace_s: float) -> None:
        """Accepts no more requests, answers those that were accepted, and ends."""


class ServingEngine:
    """A `ModelEngine` over a backend, with a shadow engine where one is asked for.

    Attributes:
        process: The backend that computes.
        mirror: The shadow engine to which a share of the requests is mirrored.
    """

    def __init__(self, process: EngineBackend, kind: EngineKind, path: Path, mirror: Mirror | None = None) -> None:
        self.process = process
        self.mirror = mirror
        self._kind = kind
        self._path = path
        self._report: LoadReport | None = None
        self._info: EngineInfo | None = None

    @property
    def info(self) -> EngineInfo:
        """See `ModelEngine`. Made once for each report: every request reads it."""
        report = self.process.report
        if self._info is None or self._report is not report:
            self._report, self._info = report, self._describe(report)
        return self._info

    @property
    def drift(self) -> Drift | None:
        """See `ModelEngine`."""
        return self.mirror.drift if self.mirror else None

    @property
    def load(self) -> EngineLoad:
        """See `ModelEngine`."""
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
            requests=Histogram(SIZE_BOUNDS, list(stats.requests), stats.requested_rows),
            buckets={
                size: Histogram(SIZE_BOUNDS, list(padding.counts), padding.rows) for size, padding in stats.buckets
            },
        )

    @property
    def available(self) -> bool:
        """See `ModelEngine`."""
        return self.process.available

    def watch(self, changed: Callable[[], None], ended: Callable[[str], None]) -> None:
        """See `ModelEngine`."""

        def on_state(state: EngineState, reason: str) -> None:
            if state is EngineState.ENDED:
                ended(reason)
            changed()

        self.process.on_state = on_state
        if self.process.state is EngineState.ENDED:
            ended("it ended as soon as it was ready")

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool = False) -> Mapping[str, Array]:
        """See `ModelEngine`."""
        outputs = await self.process.predict(inputs, deadline_ns, exact)
        if self.mirror is not None:
            self.mirror.show(inputs, outputs)
        return outputs

    async def stop(self, grace_s: float) -> None:
        """See `ModelEngine`."""
        try:
            await self.process.stop(grace_s)
        finally:
            self.process.on_state = None  # no cycle keeps its shared memory until the garbage is collected
            if self.mirror is not None:
                await self.mirror.close()

    def _describe(self, report: LoadReport) -> EngineInfo:
        caveat = "" if report.verified else _UNVERIFIED
        return EngineInfo(
            path=self._path,
            manifest=report.manifest,
            digest=report.digest,
            kind=self._kind.value,
            max_batch_size=report.max_batch_size,
            verdicts=tuple(
                OutputDeviation(output.output, output.deviation, output.bound) for output in report.verdict.outputs
            ),
            batching=_batching(report),
            batches=report.batches,
            summary=self._summary(report) if not caveat else f"{self._kind.value}, unverified",
            details=_details(report),
            caveat=caveat,
            seconds=report.seconds,
            warm_seconds=report.stages.get("warm", 0.0),
            pid=report.pid,
        )

    def _summary(self, report: LoadReport) -> str:
        worst = max(report.verdict.outputs, key=_share)
        deviation, bound = one_figure(worst.deviation), one_figure(worst.bound)
        parts = [f"{self._kind.value}, golden deviation {deviation} of {bound} allowed"]
        if report.deterministic:
            parts.append(f"exact in batches of {report.exact_rows}")
        if report.placement:
            parts.append(f"on {report.placement}")
        if self.mirror is not None:
            parts.append(f"shadowed by {self.mirror.drift.engine}")
        return "; ".join(parts)


def _batching(report: LoadReport) -> BatchingInfo:
    sizes = (report.exact_rows,) if report.deterministic else report.buckets
    return BatchingInfo(report.device, sizes, report.together, report.delay_us)


def _details(report: LoadReport) -> str:
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in report.stages.items())
    return f"{report.seconds:.2f} s: {stages}; pid {report.pid}"


def one_figure(value: float) -> str:
    """The value in one significant figure: `3e-8`, `0.02`."""
    return re.sub(r"e([-+])0+", r"e\1", f"{value:.1g}")


def _share(verdict: OutputVerdict) -> float:
    return verdict.deviation / verdict.bound if verdict.bound else verdict.deviation
