"""The program that checks a GPU. Its steps are tried out on a CPU; without a GPU it says what is missing."""

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from foldserve_contract.bundle import GOLDEN, Bundle
from foldserve_contract.golden import Golden
from foldserve_engine import onnx_engine, onnx_session
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
        "throughput of the engine",
        "golden samples, served",
        "throughput served",
        "reload under load",
        "golden samples, reloaded",
    ]
    assert all(held.values())
    rates = {(rate["how"], rate["batch"]): rate["ratio"] for rate in json.loads(done.stdout)["rates"]}
    assert rates.keys() == {(how, batch) for how in ("plain run", "engine") for batch in (1, 2, 4)}
    assert {rates["plain run", batch] for batch in (1, 2, 4)} == {1.0}
    assert "m/1 on cpu" in done.stderr and done.stderr.count("held") == len(held)


def test_what_does_not_hold_is_named_and_the_rest_is_done_nevertheless(tmp_path: Path) -> None:
    done = on_a_cpu(spoil(make_bundle(tmp_path, max_batch_size=2)))
    assert done.returncode == 1
    held = checks(done)
    assert not held["golden samples, float32"] and held["throughput of the engine"]
    assert not held["serve-model"], "the gate lets no such version serve"
    assert done.stderr.count("FAILED") == 2


def test_what_serving_needs_and_is_missing_is_named(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, max_batch_size=1)
    done = on_a_cpu(path, without="grpc,grpc_health,aiohttp")
    assert done.returncode == 1
    assert "not tried: grpcio, aiohttp, grpcio-health-checking not installed" in done.stderr
    alone = on_a_cpu(path, "--without-server", without="grpc,grpc_health,aiohttp,google.protobuf")
    assert alone.returncode == 0, alone.stderr
    assert list(checks(alone)) == ["golden samples, float32", "throughput of the engine"]


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


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part without gRPC, over a GPU that is none."""
    gpu = FakeGpu()
    monkeypatch.setattr(onnx_engine, "import_runtime", lambda: gpu)
    monkeypatch.setattr(onnx_session, "find_cudart", FakeCuda)
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    gpu_engine = importlib.import_module("gpu_engine")
    monkeypatch.setattr(gpu_engine, "import_runtime", lambda: gpu)
    return gpu_engine.Bench(Bundle.open(make_bundle(tmp_path, max_batch_size=4)), "cuda:0")


def test_on_a_gpu_graphs_and_tf32_are_compared_with_the_plain_run(bench: Any) -> None:
    rates = {(rate.batch, rate.how): rate.ratio for rate in bench.rates(0.05)}
    ways = ("plain run", "engine", "engine, CUDA graphs", "engine, graphs, TF32")
    assert rates.keys() == {(batch, how) for batch in (1, 2, 4) for how in ways}
    assert all(ratio > 0 for ratio in rates.values())


@pytest.mark.parametrize(("promised", "held"), [(None, True), (1e-3, True), (1e-12, False)])
def test_tf32_fails_where_a_promise_for_it_is_broken(bench: Any, promised: float | None, held: bool) -> None:
    bundle = bench._bundle
    tolerances = {"scores": replace(bundle.manifest.tolerances["scores"], tf32=promised)}
    bench._bundle = replace(bundle, manifest=replace(bundle.manifest, tolerances=tolerances))
    assert bench.golden(tf32=False).held
    check = bench.golden(tf32=True)
    assert check.held is held
    assert ("nothing is promised for TF32" in check.said) is (promised is None)
