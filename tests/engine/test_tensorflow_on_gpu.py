"""Settings of TensorFlow for a GPU; TensorFlow itself is a stand-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Array, Signature, TensorSpec
from foldserve_engine import tensorflow_engine
from foldserve_engine.errors import DeviceNotFound, EngineError
from foldserve_engine.spec import EngineSpec
from foldserve_engine.tensorflow_engine import TensorFlowEngine

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))


class FakeTensorFlow:
    """TensorFlow with GPUs, whose model doubles its input.

    Attributes:
        told: What it was told, in order.
    """

    def __init__(self, gpus: int, *, running: bool = False) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._running = running
        spec = SimpleNamespace(dtype=np.dtype("float32"), shape=SimpleNamespace(rank=2, as_list=lambda: [None, 2]))
        double = _Double(spec)
        self.saved_model = SimpleNamespace(load=lambda path: SimpleNamespace(signatures={"serving_default": double}))
        self.config = SimpleNamespace(
            list_physical_devices=lambda kind: [f"physical {kind} {index}" for index in range(gpus)],
            set_visible_devices=self._teller("visible", only_before=True),
            set_logical_device_configuration=self._teller("logical", only_before=True),
            LogicalDeviceConfiguration=lambda memory_limit: f"{memory_limit} MiB",
            experimental=SimpleNamespace(
                set_memory_growth=self._teller("growth", only_before=True),
                enable_tensor_float_32_execution=self._teller("tf32"),
                enable_op_determinism=self._teller("deterministic"),
            ),
            threading=SimpleNamespace(get_intra_op_parallelism_threads=lambda: 0),
        )

    def convert_to_tensor(self, array: Array) -> Array:
        return array

    @contextmanager
    def device(self, name: str) -> Iterator[None]:
        self.told.append(("on", name))
        yield

    def _teller(self, what: str, *, only_before: bool = False) -> Any:
        def tell(*words: Any) -> None:
            if only_before and self._running:
                raise RuntimeError("devices cannot be modified after being initialized")
            self.told.append((what, *words))

        return tell


class _Double:
    def __init__(self, spec: Any) -> None:
        self.structured_input_signature = ((), {"x": spec})
        self.structured_outputs = {"y": spec}

    def __call__(self, x: Array) -> dict[str, Any]:
        return {"y": SimpleNamespace(numpy=lambda: 2 * x)}


def load(monkeypatch: pytest.MonkeyPatch, tensorflow: FakeTensorFlow, **options: Any) -> TensorFlowEngine:
    monkeypatch.setattr(tensorflow_engine, "_import_tensorflow", lambda: tensorflow)
    request = EngineSpec(device=options.pop("device", "cuda:1"), **options)
    return TensorFlowEngine.from_directory(Path("m/1"), SIGNATURE, request)


def test_it_takes_one_gpu_and_what_memory_it_needs_exact_and_the_same_at_every_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensorflow = FakeTensorFlow(gpus=2)
    engine = load(monkeypatch, tensorflow)
    assert tensorflow.told == [
        ("visible", ["physical GPU 1"], "GPU"),
        ("growth", "physical GPU 1", True),
        ("tf32", False),
        ("deterministic",),
        ("on", "/GPU:0"),
    ]
    assert engine.run({"x": np.ones((3, 2), np.float32)})["y"].tolist() == [[2, 2]] * 3
    assert tensorflow.told[-1] == ("on", "/GPU:0")


@pytest.mark.parametrize(("limit", "mebibytes"), [(3 << 30, 3072), (1, 1)])
def test_a_memory_limit_is_a_limit(monkeypatch: pytest.MonkeyPatch, limit: int, mebibytes: int) -> None:
    tensorflow = FakeTensorFlow(gpus=2)
    load(monkeypatch, tensorflow, memory_limit_bytes=limit)
    assert ("logical", "physical GPU 1", [f"{mebibytes} MiB"]) in tensorflow.told
    assert not any(what == "growth" for what, *_ in tensorflow.told)


def test_tf32_is_on_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorflow = FakeTensorFlow(gpus=2)
    load(monkeypatch, tensorflow, tf32=True)
    assert ("tf32", True) in tensorflow.told


@pytest.mark.parametrize(
    ("gpus", "device", "message"),
    [(0, "cuda:0", "sees 0 GPUs"), (1, "cuda:1", "sees 1 GPUs"), (1, "tensorrt:0", "not on tensorrt:0")],
)
def test_a_gpu_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, message: str
) -> None:
    tensorflow = FakeTensorFlow(gpus)
    with pytest.raises(DeviceNotFound, match=message):
        load(monkeypatch, tensorflow, device=device)
    assert not tensorflow.told


def test_a_tensorflow_that_runs_already_cannot_change_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="runs already and cannot take cuda:1"):
        load(monkeypatch, FakeTensorFlow(gpus=2, running=True))


def test_on_a_cpu_nothing_is_said_about_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorflow = FakeTensorFlow(gpus=2)
    load(monkeypatch, tensorflow, device="cpu")
    assert tensorflow.told == [("on", "/CPU:0")]
