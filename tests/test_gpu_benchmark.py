"""The program that checks a GPU. Its steps are tried out on a CPU; without a GPU it says what is missing."""

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from foldserve_contract.bundle import GOLDEN, ONNX, Bundle
from foldserve_contract.golden import Golden
from foldserve_engine.onnx import onnx_engine, session
from tests.bundles import make_bundle, reseal
from tests.engine.fake_gpu import FakeCuda, FakeGpu

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
BARE = f"""
import runpy, sys
for module in ("tensorflow", "keras", "tf_keras", "onnx", "tf2onnx", *sys.argv[1].split(",")):
    sys.modules[module] = None
sys.path.insert(0, {str(PROGRAM.parent)!r})
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*words: object, without: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs it where nothing is installed but what the server needs, and not `without` either."""
    command = [sys.executable, "-c", BARE, without or "tensorflow", str(PROGRAM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def on_a_cpu(path: Path, *words: str, **how: Any) -> "subprocess.CompletedProcess[str]":
    return run("--device=cpu", "--seconds=0.1", "--bundle", path, *words, **how)


def checks(done: "subprocess.CompletedProcess[str]") -> dict[str, bool]:
    assert "Traceback" not in done.stderr, done.stderr
    return {check["what"]: check["held"] for check in json.loads(done.stdout)["checks"]}


def spoil(path: Path) -> Path:
    """One golden answer becomes another one, as if the engine gave another."""
    golden = Bundle.open(path).golden()
    outputs = {name: array.copy() for name, array in golden.outputs.items()}
    outputs["scores"][3, 1] += np.float32(0.5)
    (path / GOLDEN).write_bytes(Golden(golden.inputs, outputs).to_bytes())
    reseal(path)
    return path


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there may be a GPU")
def test_without_a_gpu_it_ends_with_status_two_and_says_why(tmp_path: Path) -> None:
    done = run("--bundle", make_bundle(tmp_path))
    assert done.returncode == 2 and not done.stdout
    assert "cuda:0 needs ONNX Runtime's CUDAExecutionProvider" in done.stderr
    assert "foldserve[server-gpu]" in done.stderr and "Traceback" not in done.stderr


def test_everything_but_the_device_works_on_a_cpu_where_little_is_installed(tmp_path: Path) -> None:
    done = on_a_cpu(make_bundle(tmp_path, max_batch_size=4))
    assert done.returncode == 0, done.stderr
    held = checks(done)
    assert list(held) == [
        "golden samples, float32",
        "throughput, float32",
        "golden samples, served",
        "throughput served",
        "reload under load",
        "golden samples, reloaded",
    ]
    assert all(held.values())
    rates = {(rate["how"], *rate["batches"]): rate["ratio"] for rate in json.loads(done.stdout)["rates"]}
    mixes = ((1,), (2,), (4,), (2, 4))
    assert rates.keys() == {(how, *mix) for how in ("plain run", "engine") for mix in mixes}
    assert {rates["plain run", *mix] for mix in mixes} == {1.0}
    assert "m/1 on cpu" in done.stderr and done.stderr.count("held") == 2 * len(held), "as it goes, and in the table"


def test_what_does_not_hold_is_named_and_the_rest_is_done_nevertheless(tmp_path: Path) -> None:
    done = on_a_cpu(spoil(make_bundle(tmp_path, max_batch_size=2)))
    assert done.returncode == 1
    held = checks(done)
    assert not held["golden samples, float32"] and held["throughput, float32"]
    assert not held["serve-model"], "the gate lets no such version serve"
    assert "version 1 does not serve: the engine does not answer as it was verified: output 'scores'" in done.stderr
    assert done.stderr.count("FAILED") == 4


def test_what_serving_needs_and_is_missing_is_named(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, max_batch_size=1)
    done = on_a_cpu(path, without="grpc,grpc_health,aiohttp")
    assert done.returncode == 1
    assert "not tried: grpcio, aiohttp, grpcio-health-checking not installed" in done.stderr
    alone = on_a_cpu(path, "--without-server", without="grpc,grpc_health,aiohttp,google.protobuf")
    assert alone.returncode == 0, alone.stderr
    assert list(checks(alone)) == ["golden samples, float32", "throughput, float32"]


def test_a_bundle_can_be_made_without_tensorflow_and_carried(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, PROGRAM, "--make", tmp_path / "here"], capture_output=True, text=True, check=True
    )
    carried = Path(shutil.copytree(made.stdout.strip(), tmp_path / "there" / "tiny" / "1"))
    assert on_a_cpu(carried, "--without-server").returncode == 0


def test_without_a_bundle_and_without_onnx_it_says_what_to_do() -> None:
    done = run("--device=cpu")
    assert done.returncode == 2 and "say --bundle" in done.stderr


def test_the_bundle_is_left_as_it_is(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, max_batch_size=1)
    on_a_cpu(path, "--without-server")
    assert [folder.name for folder in path.parent.iterdir()] == ["1"]


def test_what_cannot_be_loaded_is_named_without_a_traceback(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    (path / ONNX).write_bytes(b"no model")
    reseal(path)
    refused, missing = on_a_cpu(path), on_a_cpu(tmp_path / "nowhere" / "1")
    assert (refused.returncode, missing.returncode) == (1, 1)
    assert "ArtifactUnusable: ONNX Runtime refuses" in refused.stderr and "nowhere" in missing.stderr
    assert "Traceback" not in refused.stderr + missing.stderr


Benches = Callable[..., Any]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benches:
    """The part without gRPC, over a GPU that is none."""
    gpu = FakeGpu()
    monkeypatch.setattr(onnx_engine, "import_runtime", lambda: gpu)
    monkeypatch.setattr(session, "find_cudart", FakeCuda)
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    gpu_engine = importlib.import_module("gpu_engine")
    monkeypatch.setattr(gpu_engine, "import_runtime", lambda: gpu)
    bundle = Bundle.open(make_bundle(tmp_path, max_batch_size=4))

    def make(promised: float | None = None, *, tf32: bool = False) -> Any:
        tolerances = {"scores": replace(bundle.manifest.tolerances["scores"], tf32=promised)}
        changed = replace(bundle, manifest=replace(bundle.manifest, tolerances=tolerances))
        return gpu_engine.Bench(changed, "cuda:0", tf32=tf32)

    return make


@pytest.mark.parametrize(("tf32", "suffix"), [(False, ""), (True, ", TF32")])
def test_on_a_gpu_graphs_are_compared_with_the_plain_run_in_either_precision(
    bench: Benches, tf32: bool, suffix: str
) -> None:
    rates = {(rate.batches, rate.how): rate.ratio for rate in bench(tf32=tf32).rates(0.05)}
    ways = [f"{how}{suffix}" for how in ("plain run", "engine", "engine, CUDA graphs")]
    assert rates.keys() == {(batches, how) for batches in ((1,), (2,), (4,), (2, 4)) for how in ways}
    assert all(ratio > 0 for ratio in rates.values())


def test_the_process_that_tries_tf32_was_never_told_to_leave_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    gpu = importlib.import_module("gpu")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    heard: dict[str, str] = {}

    def run(words: tuple[str, ...], *, env: dict[str, str], **how: Any) -> "subprocess.CompletedProcess[str]":
        heard.update(env)
        return subprocess.CompletedProcess(words, 3, "")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    (check,) = gpu._with_tf32(tmp_path, "cuda:0", 1.0, [])
    assert heard and "NVIDIA_TF32_OVERRIDE" not in heard
    assert not check.held and "status 3" in check.text


@pytest.mark.parametrize(("promised", "held"), [(None, True), (1e-3, True), (1e-12, False)])
def test_tf32_fails_where_a_promise_for_it_is_broken(bench: Benches, promised: float | None, held: bool) -> None:
    assert bench(promised).golden().held
    check = bench(promised, tf32=True).golden()
    assert check.held is held
    assert ("nothing is promised for TF32" in check.text) is (promised is None)
