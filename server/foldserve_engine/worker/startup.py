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
from ..gate.bounds import golden_bounds
from ..gate.exact_rows import ALONE, candidates, find_exact_rows
from ..gate.golden_check import GoldenVerdict, check_golden
from ..link.handshake import EngineHello, EngineReady, WarmedSize
from ..protocol import Engine, ReportsPlacement
from ..rows import Gather, PaddedEngine
from ..spec import EngineKind, EngineSpec
from .startup_stages import StageTimer, StartedEngine
from .unverified import start_unverified

Loader = Callable[[Bundle, EngineKind, EngineSpec], Engine]


def start(hello: EngineHello, load: Loader, threads: int, stages: StageTimer) -> StartedEngine:
    """Opens and verifies the bundle, loads its artifact, warms every size, and checks the golden samples.

    Args:
        hello: What to load, and how.
        load: Makes the engine.
        threads: Threads of one operation, where the spec leaves them open.
        stages: Where the seconds are noted.

    Raises:
        FoldserveError: It must not serve; the message is the reason.
        ValueError: The batch sizes contradict one another.
    """
    spec = replace(hello.spec, threads=hello.spec.threads or threads)
    if spec.allow_unverified and is_plain(Path(hello.bundle)):
        return start_unverified(Path(hello.bundle), spec, stages)
    with stages.stage("verify"):
        bundle = Bundle.open(Path(hello.bundle))
        golden = bundle.golden()
    bounds = golden_bounds(bundle.manifest, spec.kind, spec.target, tf32=spec.tf32)
    largest = spec.largest_batch(bundle.manifest.max_batch_size)
    check_sizes(largest, spec.allowed_batch_sizes)
    sizes = buckets(spec.allowed_batch_sizes, largest, spec.target)
    with stages.stage("load"):
        engine = load(bundle, spec.kind, replace(spec, sizes=sizes))
    with stages.stage("warm"):
        exact_rows = _exact_rows(engine, golden, spec, largest)
        to_warm = {*(sizes or (1, largest)), *((exact_rows,) if spec.deterministic else ())}
        warmed = tuple(_warm(engine, golden, size) for size in sorted(to_warm))
    with stages.stage("golden"):
        for size in _judged_apart(spec, sizes, exact_rows):
            check_golden(PaddedEngine(engine, (size,)), golden, bounds, size).require()
        verdict = check_golden(PaddedEngine(engine, sizes), golden, bounds, largest)
    verdict.require()
    placement = engine.placement if isinstance(engine, ReportsPlacement) else ""
    ready = _ready(spec, bundle, largest, verdict, warmed, stages, exact_rows)
    return StartedEngine(engine, replace(ready, sizes=sizes, placement=placement))


def _judged_apart(spec: EngineSpec, sizes: Sequence[int], exact_rows: int) -> tuple[int, ...]:
    """Sizes that must answer the golden samples by themselves: on a GPU each has kernels and a graph of its own."""
    return tuple(sorted({*(sizes if spec.on_gpu else ()), *((exact_rows,) if spec.deterministic else ())}))


def _exact_rows(engine: Engine, golden: Golden, spec: EngineSpec, largest: int) -> int:
    if not spec.deterministic:
        return ALONE
    return find_exact_rows(engine, golden, candidates(largest, spec.allowed_batch_sizes))


def _warm(engine: Engine, golden: Golden, size: int) -> WarmedSize:
    """Runs a batch of golden samples, repeated up to the size."""
    rows = min(size, golden.rows)
    inputs: dict[str, Array] = Gather().collect([(golden.inputs, 0, rows)], size)
    begin = time.perf_counter()
    engine.run(inputs)
    return WarmedSize(size, time.perf_counter() - begin)


def _ready(
    spec: EngineSpec,
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
        credit_rows=spec.max_queue_rows,
        credit_bytes=spec.max_queue_bytes,
        verdict=verdict,
        warmed=warmed,
        stages=dict(stages.seconds),
        exact_rows=exact_rows,
    )
