"""An engine that answers with twice its input, and can be told how to misbehave."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.digest import sha256
from foldserve_contract.manifest import GoldenInfo, Manifest, OutputTolerance, Source
from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Arrays, Signature, TensorSpec
from foldserve_server.context.span import Tracer, untraced
from foldserve_server.errors import LoadFailed, NotNow
from foldserve_server.models.model_engine import BatchingInfo, EngineInfo, EngineLoad, OutputDeviation
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.stats.metric_counters import MetricCounters
from foldserve_server.stats.shadow_deviation import Drift

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
TWO_BY_TWO = Signature(
    (TensorSpec("a", "float32", (-1, 2)), TensorSpec("b", "int64", (-1, 3, -1))),
    (TensorSpec("p", "float32", (-1, 4)), TensorSpec("q", "float64", (-1, -1))),
)


def manifest(version: int = 1, signature: Signature = SIGNATURE, model: str = "m", max_batch_size: int = 4) -> Manifest:
    tolerance = OutputTolerance(1.0, 0.0, 1e-6, 0.0, 1e-5)
    return Manifest(
        model=model,
        version=version,
        created="2026-01-01T00:00:00Z",
        tools={},
        host="test",
        source=Source("m.keras", ""),
        signatures={DEFAULT_SIGNATURE: signature},
        tolerances={spec.name: tolerance for spec in signature.outputs},
        engines={},
        batch_composition={},
        max_batch_size=max_batch_size,
        fold=(),
        golden=GoldenInfo(1, 0, True, 0),
        files=(),
    )


class FakeEngine:
    """Doubles; `gate` holds answers back, `error` replaces them."""

    def __init__(self, bundle: Manifest | None = None, digest: str = "digest") -> None:
        bundle = manifest() if bundle is None else bundle
        self.info = EngineInfo(
            path=Path("nowhere"),
            manifest=bundle,
            digest=digest,
            kind="fake",
            max_batch_size=bundle.max_batch_size,
            verdicts=(OutputDeviation("y", 2e-7, 1e-5),),
            batching=BatchingInfo(),
            batches="",
            summary="fake",
            details="fake",
            caveat="",
            seconds=2.5,
            warm_seconds=0.5,
            pid=0,
        )
        self.load = EngineLoad()
        self.drift: Drift | None = None
        self.available = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.asked: list[Arrays] = []
        self.deadlines: list[int | None] = []
        self.exact: list[bool] = []
        self.entered = asyncio.Event()
        self.left = 0
        self.stopped = asyncio.Event()

    def watch(self, changed: Callable[[], None], ended: Callable[[str], None]) -> None:
        self.changed, self.ended = changed, ended

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool = False) -> Mapping[str, Array]:
        self.asked.append(inputs)
        self.exact.append(exact)
        self.deadlines.append(deadline_ns)
        self.entered.set()
        self.load.sizes.add(next(iter(inputs.values())).shape[0])
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        if self.error is not None:
            raise self.error
        return {"y": np.asarray(inputs["x"] * np.float32(2))}

    async def stop(self, grace_s: float) -> None:
        self.stopped.set()


class Starter:
    """Stands for the start of engines: says which directories were asked for, and fails where it is told to."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.engines: dict[str, FakeEngine] = {}
        self.failing: dict[str, str] = {}
        self.exhausted = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled: list[str] = []
        self.on_start: Callable[[str], object] = lambda key: None

    async def __call__(self, name: str, path: Path) -> FakeEngine:
        key = f"{path.parent.name}/{path.name}"
        self.started.append(key)
        self.on_start(key)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(key)
            raise
        if self.exhausted:
            raise NotNow("no engine process can be started")
        if key in self.failing:
            raise LoadFailed(self.failing[key])
        self.engines[key] = FakeEngine(manifest(int(path.name)), sha256((path / MANIFEST).read_bytes()))
        return self.engines[key]


def write_version(root: Path, version: int, *, name: str = "m", created: str = "now") -> Path:
    """A version directory whose seal is in order; another `created` is another bundle."""
    path = root / name / str(version)
    path.mkdir(parents=True, exist_ok=True)
    (path / MANIFEST).write_bytes(replace(manifest(version, model=name), created=created).to_bytes())
    return path


class CountedTable(RoutingTable):
    """A table, and the metric counters and tracer of the servers that a test puts before it."""

    def __init__(self, metric_counters: MetricCounters | None = None) -> None:
        super().__init__()
        self.metric_counters = metric_counters or MetricCounters()
        self.tracer: Tracer = untraced


def metric_counters_of(table: RoutingTable) -> MetricCounters:
    """The table's own, or a new one."""
    return table.metric_counters if isinstance(table, CountedTable) else MetricCounters()


def tracer_of(table: RoutingTable) -> Tracer:
    """The table's own, if it has one."""
    return table.tracer if isinstance(table, CountedTable) else untraced


def serving(engine: FakeEngine, name: str = "m", version: int = 1, table: CountedTable | None = None) -> CountedTable:
    """A table in which the engine answers for one version."""
    table = table or CountedTable()
    servable = Servable(name, version)
    table.begin(servable)
    table.publish(servable, engine)
    return table
