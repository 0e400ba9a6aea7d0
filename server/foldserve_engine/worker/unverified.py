"""Starts an engine over a SavedModel that has no manifest: with TensorFlow, and with nothing to compare it with."""

import logging
import time
from pathlib import Path

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.errors import DigestMismatch
from foldserve_contract.manifest import GoldenInfo, Manifest, OutputTolerance, Source
from foldserve_contract.plain_saved_model import plain_digest
from foldserve_contract.signature import DEFAULT_SIGNATURE, DYNAMIC, Array, Signature, TensorSpec

from ..batch_sizes import buckets, check_sizes
from ..errors import ArtifactUnusable, RunFailed
from ..gate.golden_check import GoldenVerdict
from ..link.handshake import EngineReady, WarmedSize
from ..protocol import Engine
from ..spec import EngineKind, EngineSpec
from .startup_stages import StageTimer, StartedEngine
from .warmup import replay

_log = logging.getLogger(__name__)
_DEFAULT_BATCH = 32
_UNKNOWN_SECONDS = 1.0


def start_unverified(path: Path, spec: EngineSpec, stages: StageTimer) -> StartedEngine:
    """Loads the SavedModel of a version directory and warms every size.

    Raises:
        FoldserveError: It cannot be served; the message is the reason.
        ValueError: The batch sizes contradict one another.
    """
    if spec.kind is not EngineKind.TENSORFLOW:
        raise ArtifactUnusable("a SavedModel without bundle.json is run by TensorFlow alone: leave --engine=onnx out")
    path = path.resolve()
    digest = plain_digest(path)
    largest = spec.largest_batch(_DEFAULT_BATCH)
    check_sizes(largest, spec.allowed_batch_sizes)
    sizes = buckets(spec.allowed_batch_sizes, largest, spec.target)
    with stages.stage("load"):
        from ..tensorflow_engine import TensorFlowEngine

        engine = TensorFlowEngine.discover(path, spec)
    if plain_digest(path) != digest:
        raise DigestMismatch(f"{path} was changed while it was loaded")
    with stages.stage("warm"):
        warmed = tuple(_warm(engine, size) for size in sizes or sorted({1, largest}))
        replayed = replay(path, engine, largest, sizes)
    _log.info("%s: %d warmup records were replayed", path, replayed)
    manifest = _manifest(path, engine.signature, largest)
    ready = EngineReady(
        digest=digest,
        max_batch_size=largest,
        credit_rows=spec.max_queue_rows,
        credit_bytes=spec.max_queue_bytes,
        verdict=GoldenVerdict(0, ()),
        warmed=warmed,
        stages=dict(stages.seconds),
        manifest=manifest.to_bytes().decode(),
        sizes=sizes,
    )
    return StartedEngine(engine, ready)


def _warm(engine: Engine, rows: int) -> WarmedSize:
    """Runs zeros; a model may refuse them where a dimension is free, whose sizes are unknown."""
    inputs: dict[str, Array] = {spec.name: _zeros(spec, rows) for spec in engine.signature.inputs}
    begin = time.perf_counter()
    try:
        engine.run(inputs)
    except RunFailed as error:
        if all(DYNAMIC not in spec.row_shape for spec in engine.signature.inputs):
            raise
        _log.warning("a batch of %d rows could not be warmed: %s", rows, error)
        return WarmedSize(rows, _UNKNOWN_SECONDS)
    return WarmedSize(rows, time.perf_counter() - begin)


def _zeros(spec: TensorSpec, rows: int) -> Array:
    shape = (rows, *(1 if size == DYNAMIC else size for size in spec.row_shape))
    return np.zeros(shape, dtype_named(spec.dtype).numpy)


def _manifest(path: Path, signature: Signature, largest: int) -> Manifest:
    """The manifest's stand-in: names, dtypes and shapes, and no promises."""
    nothing = OutputTolerance(scale=0.0, noise=0.0, limit=0.0, measured=0.0, promised=0.0)
    return Manifest(
        model=path.parent.name,
        version=int(path.name) if path.name.isdigit() else 0,
        created="",
        tools={},
        host="",
        source=Source("", ""),
        signatures={DEFAULT_SIGNATURE: signature},
        tolerances={spec.name: nothing for spec in signature.outputs},
        engines={},
        batch_composition={},
        max_batch_size=largest,
        fold=(),
        golden=GoldenInfo(samples=0, stretched=0, synthetic=True, seed=0),
        files=(),
    )
