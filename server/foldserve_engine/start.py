"""The steps from a version directory to an engine that may serve."""

import time
from collections.abc import Callable
from pathlib import Path

from foldserve_contract.bundle import Bundle
from foldserve_contract.golden import Golden
from foldserve_contract.plain import is_plain
from foldserve_contract.signature import Array

from .batching import check_sizes
from .bounds import golden_bounds
from .device import Device
from .exact import ALONE, candidates, find_exact_rows
from .gather import Bucketed, Gather
from .golden import GoldenVerdict, check_golden
from .link.documents import Hello, OutputReport, Ready, Warmed
from .protocol import Engine, EngineKind, EngineOptions
from .stages import Stages, Started
from .unverified import start_unverified

Loader = Callable[[Bundle, EngineKind, EngineOptions], Engine]


def start(hello: Hello, load: Loader, threads: int, stages: Stages) -> Started:
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
        return start_unverified(hello, _options(hello, threads), stages)
    with stages.stage("verify"):
        bundle = Bundle.open(Path(hello.bundle))
        golden = bundle.golden()
    largest = hello.max_batch_size or max(hello.allowed_batch_sizes, default=bundle.manifest.max_batch_size)
    check_sizes(largest, hello.allowed_batch_sizes)
    with stages.stage("load"):
        engine = load(bundle, EngineKind(hello.kind), _options(hello, threads))
    with stages.stage("warm"):
        exact_rows = _exact_rows(engine, golden, hello, largest)
        sizes = {*(hello.allowed_batch_sizes or (1, largest)), *((exact_rows,) if hello.deterministic else ())}
        warmed = tuple(_warm(engine, golden, size) for size in sorted(sizes))
    with stages.stage("golden"):
        if hello.deterministic:
            check_golden(Bucketed(engine, (exact_rows,)), golden, _bounds(hello, bundle), exact_rows).require()
        bucketed = Bucketed(engine, hello.allowed_batch_sizes)
        verdict = check_golden(bucketed, golden, _bounds(hello, bundle), largest)
    verdict.require()
    return Started(engine, _ready(hello, bundle, largest, verdict, warmed, stages, exact_rows))


def _exact_rows(engine: Engine, golden: Golden, hello: Hello, largest: int) -> int:
    if not hello.deterministic:
        return ALONE
    return find_exact_rows(engine, golden, candidates(largest, hello.allowed_batch_sizes))


def _bounds(hello: Hello, bundle: Bundle) -> dict[str, float]:
    return golden_bounds(bundle.manifest, EngineKind(hello.kind), Device.parse(hello.device))


def _options(hello: Hello, threads: int) -> EngineOptions:
    return EngineOptions(
        threads=hello.threads or threads,
        optimise=hello.optimise,
        device=Device.parse(hello.device),
        spinning=hello.spinning,
        memory_limit_bytes=hello.memory_limit_bytes,
        deterministic=hello.deterministic,
    )


def _warm(engine: Engine, golden: Golden, size: int) -> Warmed:
    """Runs a batch of golden samples, repeated up to the size."""
    rows = min(size, golden.rows)
    inputs: dict[str, Array] = Gather().collect([(golden.inputs, 0, rows)], size)
    begin = time.perf_counter()
    engine.run(inputs)
    return Warmed(size, time.perf_counter() - begin)


def _ready(
    hello: Hello,
    bundle: Bundle,
    largest: int,
    verdict: GoldenVerdict,
    warmed: tuple[Warmed, ...],
    stages: Stages,
    exact_rows: int,
) -> Ready:
    golden = tuple(OutputReport(one.output, one.deviation, one.sample, one.batch, one.bound) for one in verdict.outputs)
    return Ready(
        digest=bundle.digest,
        max_batch_size=largest,
        credit_rows=hello.credit_rows,
        credit_bytes=hello.credit_bytes,
        golden_samples=verdict.samples,
        golden=golden,
        warmed=warmed,
        stages=dict(stages.seconds),
        exact_rows=exact_rows,
    )
