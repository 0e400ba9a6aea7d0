"""The steps from a version directory to an engine that may serve."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from foldserve_contract.bundle import Bundle
from foldserve_contract.golden import Golden
from foldserve_contract.plain_saved_model import is_plain
from foldserve_contract.signature import Array

from ..batch_sizes import buckets, check_sizes
from ..device import Device, DeviceKind
from ..gate.bounds import golden_bounds
from ..gate.exact_rows import ALONE, candidates, find_exact_rows
from ..gate.golden_check import GoldenVerdict, check_golden
from ..link.handshake import EngineHello, EngineReady, WarmedSize
from ..protocol import Engine, EngineKind, EngineOptions, ReportsPlacement
from ..rows import Gather, PaddedEngine
from .startup_stages import StageTimer, StartedEngine
from .unverified import start_unverified

Loader = Callable[[Bundle, EngineKind, EngineOptions], Engine]


def start(hello: EngineHello, load: Loader, threads: int, stages: StageTimer) -> StartedEngine:
    """Opens and verifies the bundle, loads its artifact, warms every size, and checks the golden samples.

    Args:
        hello: What to load, and how.
        load: Makes the engine.
        threads: Threads of one operation, where `hello` leaves them open.
        stages: Where the seconds are noted.

    Raises:
        FoldserveError: It must not serve; the message is the reason.
        ValueError: The batch sizes contradict one another.
    """
    if hello.allow_unverified and is_plain(Path(hello.bundle)):
        return start_unverified(hello, _options(hello, threads, ()), stages)
    with stages.stage("verify"):
        bundle = Bundle.open(Path(hello.bundle))
        golden = bundle.golden()
    bounds = _bounds(hello, bundle)
    largest = hello.max_batch_size or max(hello.allowed_batch_sizes, default=bundle.manifest.max_batch_size)
    check_sizes(largest, hello.allowed_batch_sizes)
    sizes = buckets(hello.allowed_batch_sizes, largest, Device.parse(hello.device))
    with stages.stage("load"):
        engine = load(bundle, EngineKind(hello.kind), _options(hello, threads, sizes))
    with stages.stage("warm"):
        exact_rows = _exact_rows(engine, golden, hello, largest)
        to_warm = {*(sizes or (1, largest)), *((exact_rows,) if hello.deterministic else ())}
        warmed = tuple(_warm(engine, golden, size) for size in sorted(to_warm))
    with stages.stage("golden"):
        for size in _judged_apart(hello, sizes, exact_rows):
            check_golden(PaddedEngine(engine, (size,)), golden, bounds, size).require()
        verdict = check_golden(PaddedEngine(engine, sizes), golden, bounds, largest)
    verdict.require()
    placement = engine.placement if isinstance(engine, ReportsPlacement) else ""
    ready = _ready(hello, bundle, largest, verdict, warmed, stages, exact_rows)
    return StartedEngine(engine, replace(ready, sizes=sizes, placement=placement))


def _judged_apart(hello: EngineHello, sizes: Sequence[int], exact_rows: int) -> tuple[int, ...]:
    """Sizes that must answer the golden samples by themselves: on a GPU each has kernels and a graph of its own."""
    on_gpu = Device.parse(hello.device).kind is not DeviceKind.CPU
    return tuple(sorted({*(sizes if on_gpu else ()), *((exact_rows,) if hello.deterministic else ())}))


def _exact_rows(engine: Engine, golden: Golden, hello: EngineHello, largest: int) -> int:
    if not hello.deterministic:
        return ALONE
    return find_exact_rows(engine, golden, candidates(largest, hello.allowed_batch_sizes))


def _bounds(hello: EngineHello, bundle: Bundle) -> dict[str, float]:
    return golden_bounds(bundle.manifest, EngineKind(hello.kind), Device.parse(hello.device), tf32=hello.tf32)


def _options(hello: EngineHello, threads: int, sizes: tuple[int, ...]) -> EngineOptions:
    return EngineOptions(
        threads=hello.threads or threads,
        optimise=hello.optimise,
        device=Device.parse(hello.device),
        spinning=hello.spinning,
        memory_limit_bytes=hello.memory_limit_bytes,
        deterministic=hello.deterministic,
        tf32=hello.tf32,
        sizes=sizes,
        graph_rows=hello.graph_rows,
    )


def _warm(engine: Engine, golden: Golden, size: int) -> WarmedSize:
    """Runs a batch of golden samples, repeated up to the size."""
    rows = min(size, golden.rows)
    inputs: dict[str, Array] = Gather().collect([(golden.inputs, 0, rows)], size)
    begin = time.perf_counter()
    engine.run(inputs)
    return WarmedSize(size, time.perf_counter() - begin)


def _ready(
    hello: EngineHello,
    bundle: Bundle,
    largest: int,
    verdict: GoldenVerdict,
    warmed: tuple[WarmedSize, ...],
    stages: StageTimer,
    exact_rows: int,
) -> EngineReady:
    return EngineReady(
        digest=bundle.digest,
        max_batch_size=largest,
        credit_rows=hello.credit_rows,
        credit_bytes=hello.credit_bytes,
        verdict=verdict,
        warmed=warmed,
        stages=dict(stages.seconds),
        exact_rows=exact_rows,
    )
