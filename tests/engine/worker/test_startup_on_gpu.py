"""Start of an engine on a GPU, where it differs from a CPU; the engine is the CPU's."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_contract.bundle import ONNX, Bundle
from foldserve_contract.errors import GoldenMismatch
from foldserve_contract.signature import Array, Arrays, Signature
from foldserve_engine.errors import PrecisionNotPromised
from foldserve_engine.link.handshake import EngineHello
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_engine.worker.startup import start
from foldserve_engine.worker.startup_stages import StageTimer, StartedEngine
from tests.bundles import make_bundle

POWERS = (1, 2, 4, 6)


@dataclass
class OnGpu:
    """Loads the CPU's engine for a GPU, and spoils what it answers in batches of one size.

    Attributes:
        specs: The options it was loaded with.
        sizes: The size of every batch that it computed.
    """

    spoiled: int = 0
    placement: str = "cuda:0; as it should be"
    specs: list[EngineSpec] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def load(self, bundle: Bundle, kind: EngineKind, options: EngineSpec) -> "OnGpu":
        self.specs.append(options)
        self._engine = OnnxEngine.from_bytes(bundle.read(ONNX), bundle.manifest.signature)
        return self

    @property
    def signature(self) -> Signature:
        return self._engine.signature

    def run(self, inputs: Arrays) -> dict[str, Array]:
        rows = len(inputs["image"])
        self.sizes.append(rows)
        answers = self._engine.run(inputs)
        return {name: array + np.float32(rows == self.spoiled) for name, array in answers.items()}

    def close(self) -> None:
        """Holds nothing of its own."""


def hello(path: Path, device: str = "cuda:0", **changes: Any) -> EngineHello:
    plain = EngineSpec(
        device=device,
        threads=1,
        max_batch_size=6,
        max_queue_rows=64,
        max_queue_bytes=1 << 20,
        load_on_one_core=False,
        graph_rows=0,
    )
    return EngineHello(str(path), 1, replace(plain, **changes))


def started(gpu: OnGpu, specs: EngineHello) -> StartedEngine:
    return start(specs, gpu.load, 1, StageTimer())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, samples=7)


def test_batches_have_few_sizes_and_each_is_prepared_warmed_and_reported(path: Path) -> None:
    gpu = OnGpu()
    made = started(gpu, hello(path, graph_rows=2))
    assert made.ready.sizes == POWERS and set(gpu.sizes) == set(POWERS)
    assert tuple(item.rows for item in made.ready.warmed) == POWERS
    assert gpu.specs[0].sizes == POWERS and gpu.specs[0].graph_rows == 2
    assert made.ready.placement == "cuda:0; as it should be"


def test_sizes_that_were_allowed_are_kept(path: Path) -> None:
    gpu = OnGpu()
    made = started(gpu, hello(path, allowed_batch_sizes=(3, 6)))
    assert made.ready.sizes == (3, 6) and set(gpu.sizes) == {3, 6}


@pytest.mark.parametrize("spoiled", POWERS)
def test_each_size_must_answer_the_golden_samples_by_itself(path: Path, spoiled: int) -> None:
    with pytest.raises(GoldenMismatch, match=r"deviates by 1 from the golden answer"):
        started(OnGpu(spoiled), hello(path))


def test_on_a_cpu_any_size_is_computed(path: Path) -> None:
    gpu = OnGpu()
    made = started(gpu, hello(path, "cpu"))
    assert made.ready.sizes == () and gpu.specs[0].sizes == ()


def test_tf32_without_a_promise_is_refused_before_anything_is_loaded(path: Path) -> None:
    gpu = OnGpu()
    with pytest.raises(PrecisionNotPromised):
        started(gpu, hello(path, tf32=True))
    assert not gpu.specs


def test_a_memory_limit_is_passed_on(path: Path) -> None:
    gpu = OnGpu()
    started(gpu, hello(path, memory_limit_bytes=1 << 30))
    assert gpu.specs[0].memory_limit_bytes == 1 << 30
