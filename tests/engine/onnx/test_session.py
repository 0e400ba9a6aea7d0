import gc
import logging
import os
import re
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_engine.errors import ArtifactUnusable, DeviceNotFound, EngineLost, RunFailed, SignatureMismatch
from foldserve_engine.onnx import onnx_engine, session
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.onnx.session_plan import CPU, CUDA, TENSORRT
from foldserve_engine.rows import Gather
from foldserve_engine.spec import EngineSpec
from tests.bundles import conv_model, random_rows, sequence_model, signature_of
from tests.engine.fake_gpu import FakeCuda, FakeGpu, FakeSession, part

SIZES = (1, 2, 4, 8)
MODEL = conv_model(8)
CONTROL_FLOW = (
    "This session cannot use the graph capture feature as requested by the user as the model has control flow nodes"
)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    gpu = FakeGpu()
    monkeypatch.setattr(onnx_engine, "import_runtime", lambda: gpu)
    monkeypatch.setattr(session, "find_cudart", lambda: None)
    return gpu


@pytest.fixture
def cuda(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    cuda = FakeCuda()
    monkeypatch.setattr(session, "find_cudart", lambda: cuda)
    return cuda


def engine(model: ModelProto = MODEL, device: str = "cuda:1", **options: Any) -> OnnxEngine:
    chosen = {"sizes": SIZES, "graph_rows": 2, **options}
    request = EngineSpec(device=device, threads=1, **chosen)
    return OnnxEngine.from_bytes(model.SerializeToString(), signature_of(model), request)


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    return {"image": random_rows(signature_of(MODEL).inputs[0], count, np.random.default_rng(seed))}


def test_every_size_has_buffers_on_the_device(gpu: FakeGpu) -> None:
    engine()
    assert sorted(gpu.buffers) == sorted((shape, "cuda", 1) for size in SIZES for shape in ((size, 8, 8, 3), (size, 5)))


def test_nothing_is_allocated_on_the_device_once_it_is_loaded(gpu: FakeGpu) -> None:
    loaded = engine()
    gpu.buffers.clear()
    for size in (*SIZES, 3):
        loaded.run(rows(size))
    assert not gpu.buffers


def test_small_sizes_are_captured_when_it_is_loaded_and_replayed_under_their_own_numbers(gpu: FakeGpu) -> None:
    loaded = engine()
    (session,) = gpu.sessions
    assert session.providers[CUDA]["enable_cuda_graph"] == "1"
    assert session.runs == [("bound", "1"), ("bound", "2")]
    session.runs.clear()
    for size in (2, 1, 4, 8, 2):
        loaded.run(rows(size))
    assert session.runs == [("bound", graph) for graph in ("2", "1", "-1", "-1", "2")]
    assert loaded.placement.startswith("cuda:1; buffers for batches of 1, 2, 4, 8; CUDA graphs for 1, 2")


def test_every_size_is_replayed_unless_it_is_said_otherwise(gpu: FakeGpu) -> None:
    loaded = OnnxEngine.from_bytes(
        MODEL.SerializeToString(), signature_of(MODEL), EngineSpec(device="cuda:0", sizes=SIZES)
    )
    (session,) = gpu.sessions
    session.runs.clear()
    for size in (8, 4, 8, 1):
        loaded.run(rows(size))
    assert session.runs == [("bound", graph) for graph in ("8", "4", "8", "1")]


def test_a_size_without_buffers_is_neither_captured_nor_refused(gpu: FakeGpu) -> None:
    loaded = engine()
    (session,) = gpu.sessions
    session.runs.clear()
    answer = loaded.run(rows(3))["scores"]
    assert session.runs == [("unbound", "-1")]
    alone = np.concatenate([loaded.run({"image": rows(3)["image"][item : item + 1]})["scores"] for item in range(3)])
    np.testing.assert_allclose(answer, alone, rtol=1e-5)


def test_it_answers_as_on_a_cpu(gpu: FakeGpu) -> None:
    on_gpu, on_cpu = engine(), engine(device="cpu")
    for size in (*SIZES, 5):
        assert on_gpu.run(rows(size, size))["scores"].tobytes() == on_cpu.run(rows(size, size))["scores"].tobytes()


def test_a_cpu_has_neither_buffers_nor_a_placement(gpu: FakeGpu) -> None:
    gpu.takes_it = False
    loaded = OnnxEngine.from_bytes(MODEL.SerializeToString(), signature_of(MODEL), EngineSpec(sizes=SIZES))
    assert not gpu.buffers and loaded.placement == ""


@pytest.mark.parametrize("refused", ["when it is loaded", "when it is captured"])
def test_a_model_that_cannot_be_captured_runs_without_graphs_and_says_so(
    gpu: FakeGpu, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    if refused == "when it is loaded":
        gpu.refuses_graphs, reason = CONTROL_FLOW, "has control flow nodes"
    else:
        gpu.fails_to_capture, reason = True, "a batch of 1 rows cannot be captured: CUDA failure 900"
    with caplog.at_level(logging.WARNING):
        loaded = engine()
    session = gpu.sessions[-1]
    assert "enable_cuda_graph" not in session.providers[CUDA]
    assert reason in caplog.text and reason in loaded.placement and "no CUDA graphs" in loaded.placement
    session.runs.clear()
    loaded.run(rows(2))
    assert session.runs == [("bound", "-1")]


def test_another_fault_is_no_reason_to_try_again_without_graphs(gpu: FakeGpu) -> None:
    gpu.refuses_graphs = "Protobuf parsing failed"
    with pytest.raises(ArtifactUnusable, match="Protobuf"):
        engine()
    assert not gpu.sessions


@pytest.mark.parametrize(
    ("options", "why"),
    [({"graph_rows": 0}, "no batch size is 0 or less"), ({"sizes": (4, 8)}, "no batch size is 2 or less")],
)
def test_where_no_size_is_small_enough_there_are_no_graphs(gpu: FakeGpu, options: dict[str, Any], why: str) -> None:
    loaded = engine(**options)
    assert [session.graphs for session in gpu.sessions] == [False]
    assert f"no CUDA graphs ({why})" in loaded.placement


def test_rows_of_a_dynamic_shape_run_without_buffers(gpu: FakeGpu) -> None:
    loaded = engine(sequence_model())
    assert not gpu.buffers and not gpu.sessions[0].graphs
    assert loaded.run({"steps": np.zeros((2, 7, 4), np.float32)})["scores"].shape == (2, 7, 3)
    assert gpu.sessions[0].runs == [("unbound", "-1")]
    assert "no buffers of its own; no CUDA graphs (the shape of a row is dynamic)" in loaded.placement


def test_cudas_libraries_are_loaded_first_and_stdout_is_left_alone(
    gpu: FakeGpu, capsys: pytest.CaptureFixture[str]
) -> None:
    engine()
    message = capsys.readouterr()
    assert gpu.had_libraries == [0]
    assert (message.out, message.err) == ("", "libraries are loaded\n")


def test_a_device_that_is_not_taken_is_an_error(gpu: FakeGpu) -> None:
    gpu.takes_it = False
    with pytest.raises(DeviceNotFound, match="did not take the device cuda:1, and nothing else is taken instead"):
        engine()


@pytest.mark.parametrize(
    "message",
    [
        "Invalid device ID: 1, must be between 0 (inclusive) and 1 (exclusive).",
        "CUDA failure 101: invalid device ordinal",
        "CUDA failure 100: no CUDA-capable device is detected",
        "Please install TensorRT libraries as mentioned in the GPU requirements page",
    ],
)
def test_a_gpu_that_is_not_there_is_not_the_models_fault(gpu: FakeGpu, message: str) -> None:
    gpu.refuses = message
    with pytest.raises(DeviceNotFound, match=rf"cuda:1 cannot be used: {re.escape(message)}"):
        engine()


AROUND = "/src/cuda_call.cc:154 T onnxruntime::CudaCall(int) [with T = int] {}; GPU=0 ; hostname=a ; file=/src/a.cc ; "


def test_of_what_cuda_says_the_core_is_told(gpu: FakeGpu) -> None:
    gpu.refuses = AROUND.format("CUDA failure 100: no CUDA-capable device is detected ")
    with pytest.raises(DeviceNotFound, match=r"cuda:1 cannot be used: CUDA failure 100: no CUDA-cap\S+ dev.*ted$"):
        engine()
    gpu.refuses, gpu.fails = "", AROUND.format("CUBLAS failure 14: internal error ")
    with pytest.raises(RunFailed, match="could not compute"):
        engine().run(rows(2))
    assert "(a batch of 1 rows cannot be captured: CUBLAS failure 14: internal error);" in engine().placement
    gpu.fails = AROUND.format("cuDNN is unavailable or disabled: no libcudnn.so.9\n")
    assert (
        "(a batch of 1 rows cannot be captured: cuDNN is unavailable or disabled: no libcudnn.so.9);"
        in engine().placement
    )
    gpu.fails = "cuDNN has no plan\nfor " + "a very large graph " * 1000
    assert "(a batch of 1 rows cannot be captured: cuDNN has no plan for a very large" in engine().placement
    assert len(engine().placement) < 1000


@pytest.mark.parametrize("size", [2, 8, 3])
def test_a_gpu_that_answers_nothing_any_more_ends_the_engine(gpu: FakeGpu, cuda: FakeCuda, size: int) -> None:
    loaded = engine()
    gpu.fails, cuda.fault = "CUDA failure 700: an illegal memory access was encountered", 700
    with pytest.raises(EngineLost, match=r"cuda:1 answers this process with CUDA error 700 from now on; .* illegal"):
        loaded.run(rows(size))


def test_an_error_of_one_batch_leaves_the_engine_as_it_is(gpu: FakeGpu, cuda: FakeCuda) -> None:
    loaded = engine()
    cuda.devices.clear()
    gpu.fails = "CUDA failure 2: out of memory"
    with pytest.raises(RunFailed, match="out of memory"):
        loaded.run(rows(2))
    assert cuda.devices == [1], "the GPU that it runs on was asked"
    gpu.fails = ""
    assert loaded.run(rows(2))["scores"].shape == (2, 5)


def test_a_model_that_stays_on_the_cpu_as_a_whole_is_an_error(gpu: FakeGpu) -> None:
    gpu.parts = (part(CPU, "Conv"), part(CPU, "Gemm"))
    with pytest.raises(DeviceNotFound, match="none of the model on cuda:1"):
        engine()


def test_nodes_that_stay_on_the_cpu_are_told(gpu: FakeGpu) -> None:
    gpu.parts = (part(CUDA, "Conv"), part(CPU, "Shape", "Gather", "Gather"))
    assert "on the CPU: 2 Gather, 1 Shape" in engine().placement


@pytest.mark.parametrize("error", [AttributeError("no such attribute"), RuntimeError("recording is off")])
def test_a_runtime_that_cannot_tell_what_stays_on_the_cpu_is_no_fault(
    gpu: FakeGpu, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tell(session: FakeSession) -> None:
        raise error

    monkeypatch.setattr(FakeSession, "get_provider_graph_assignment_info", tell)
    assert "on the CPU" not in engine().placement
    assert f"does not tell what it left on the CPU: {error}" in caplog.text


def test_a_model_with_another_signature_is_refused_before_anything_is_bound(gpu: FakeGpu) -> None:
    other = Signature((TensorSpec("picture", "float32", (-1, 8, 8, 3)),), signature_of(MODEL).outputs)
    request = EngineSpec(device="cuda:0", sizes=SIZES)
    with pytest.raises(SignatureMismatch, match=r"inputs are \['image'\]; the manifest says \['picture'\]"):
        OnnxEngine.from_bytes(MODEL.SerializeToString(), other, request)
    assert not gpu.buffers


def test_a_gpu_without_memory_for_the_batches_is_a_named_error(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(*words: Any) -> None:
        raise RuntimeError("CUDA failure 2: out of memory")

    monkeypatch.setattr(FakeGpu, "ortvalue_from_shape_and_type", allocate)
    with pytest.raises(ArtifactUnusable, match=r"batches of 1, 2, 4, 8 rows .* on cuda:1: .*out of memory"):
        engine()


def test_what_does_not_fit_the_buffers_is_a_named_error(gpu: FakeGpu) -> None:
    with pytest.raises(RunFailed, match="'image' is bound as"):
        engine().run({"image": np.zeros((2, 8, 3, 8), np.float32)})


@pytest.mark.parametrize("tf32", [False, True])
def test_tensorrt_keeps_to_float32_unless_it_is_told_otherwise(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, tf32: bool
) -> None:
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    seen: list[str | None] = []

    def load() -> FakeGpu:
        seen.append(os.environ.get("NVIDIA_TF32_OVERRIDE"))
        return gpu

    monkeypatch.setattr(onnx_engine, "import_runtime", load)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    loaded = engine(device="tensorrt:1", tf32=tf32)
    assert seen == [None if tf32 else "0"]
    assert list(gpu.sessions[0].providers) == [TENSORRT, CUDA]
    assert "no CUDA graphs (TensorRT launches a batch as a whole)" in loaded.placement


def test_batches_are_put_together_in_memory_that_the_gpu_reads_directly(gpu: FakeGpu, cuda: FakeCuda) -> None:
    loaded = engine()
    assert "page-locked" not in loaded.placement
    gather = Gather.into(loaded)
    cuda.locked.clear()
    item = rows(1)
    batch = gather.collect([(item, 0, 1), (item, 0, 1)], 4)
    address = batch["image"].ctypes.data
    assert cuda.locked == {address: batch["image"].nbytes}
    assert gather.collect([(item, 0, 1), (item, 0, 1)], 4)["image"].ctypes.data == address
    assert loaded.run(batch)["scores"].shape == (4, 5)
    del batch
    gather.collect([(rows(8), 0, 8)], 16)
    gc.collect()
    assert address not in cuda.locked and len(cuda.locked) == 1


def test_memory_that_is_not_locked_is_told(gpu: FakeGpu) -> None:
    assert engine().placement.endswith("host memory not page-locked")
