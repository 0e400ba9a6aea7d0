"""Resumption: a killed `predict-model` continues where it stopped and ends with the same file."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve.predict.cli import main

from .fake_server import ModelServer, Refusal, times
from .files import load

ROWS = np.random.default_rng(5).normal(size=(40, 3)).astype(np.float32)
ARGUMENTS = ["rows.npy", "-o", "out.npz", "--batch", "4", "--in-flight", "1", "--save-every", "0"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    return tmp_path


def refuse_row_2(server: ModelServer) -> None:
    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        if (inputs["x"] == ROWS[2]).all(axis=1).any():
            raise Refusal("INVALID_ARGUMENT", "this one is odd")
        return {"y": inputs["x"] * 2}

    server.models["double"][1].run = run


def kill_at(server: ModelServer, requests: int) -> None:
    """Runs `predict-model` and kills it while the server handles its request of that number."""
    server.requests.clear()
    reached, go_on = threading.Event(), threading.Event()

    def hold(request: Any) -> None:
        if len(server.seen("Predict")) >= requests:
            reached.set()
            go_on.wait(60)

    server.before_predict = hold
    command = [sys.executable, "-m", "foldserve.predict.cli", f"{server.target}/double", *ARGUMENTS]
    process = subprocess.Popen(command)
    try:
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    finally:
        go_on.set()
        process.kill()
    server.before_predict = lambda request: None
    server.requests.clear()


def resume(server: ModelServer, *arguments: str, model: str = "double") -> int:
    return main([f"{server.target}/{model}", *ARGUMENTS, *arguments])


def test_a_killed_run_ends_with_the_same_bytes(server: ModelServer, folder: Path) -> None:
    refuse_row_2(server)
    assert resume(server) == 1
    whole, listed = Path("out.npz").read_bytes(), Path("out.npz.errors.jsonl").read_bytes()
    Path("out.npz").unlink()
    Path("out.npz.errors.jsonl").unlink()

    kill_at(server, requests=12)
    assert not Path("out.npz").exists()
    assert resume(server) == 1
    assert Path("out.npz").read_bytes() == whole
    assert Path("out.npz.errors.jsonl").read_bytes() == listed
    sent = [request.inputs["x"].tensor_shape.dim[0].size for request in server.seen("Predict")]
    assert 4 <= sum(sent) < 40  # some was left to do, and not all of it
    assert not Path("out.npz.partial").exists()


def test_finished_rows_are_not_sent_again(server: ModelServer, folder: Path) -> None:
    kill_at(server, requests=6)
    assert resume(server) == 0
    assert len(server.seen("Predict")) == 5  # five of ten batches were answered and saved
    np.testing.assert_array_equal(load("out.npz")["y"], ROWS * 2)


def test_a_run_resumes_with_its_version_although_a_newer_one_exists(server: ModelServer, folder: Path) -> None:
    kill_at(server, requests=6)
    server.models["double"][2] = times(-7)
    assert resume(server) == 0
    np.testing.assert_array_equal(load("out.npz")["y"], ROWS * 2)


def test_a_run_is_not_resumed_on_another_version(
    server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at(server, requests=6)
    server.models["double"][2] = times(-7)
    assert resume(server, model="double/2") == 2
    assert "version (1 before, 2 now)" in capsys.readouterr().err
    del server.models["double"][1]
    assert resume(server) == 3
    assert "double/1 is not served" in capsys.readouterr().err
    assert resume(server, "--restart") == 0
    np.testing.assert_array_equal(load("out.npz")["y"], ROWS * np.float32(-7))


def test_a_run_is_not_resumed_on_other_inputs_or_settings(
    server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at(server, requests=6)
    assert resume(server, "--batch", "5") == 2
    assert "batch (4 before, 5 now)" in capsys.readouterr().err
    np.save("rows.npy", np.concatenate([ROWS, ROWS]))
    assert resume(server) == 2
    assert "inputs (other files, or changed since)" in capsys.readouterr().err


def test_a_version_that_goes_away_ends_the_run_and_keeps_finished_rows(server: ModelServer, folder: Path) -> None:
    def swap(request: Any) -> None:
        if len(server.seen("Predict")) == 6:
            server.models["double"] = {2: times(-7)}

    server.before_predict = swap
    assert resume(server) == 3
    assert not Path("out.npz").exists()
    server.models["double"] = {1: times(2)}
    server.requests.clear()
    assert resume(server) == 0
    np.testing.assert_array_equal(load("out.npz")["y"], ROWS * 2)
    assert len(server.seen("Predict")) == 5


def test_two_runs_do_not_share_an_output(server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[int] = []

    def meddle(request: Any) -> None:
        if not ended:
            ended.append(-1)
            ended[0] = resume(server)

    server.before_predict = meddle
    assert resume(server) == 0
    assert ended == [2]
    assert "another predict-model is at work" in capsys.readouterr().err
