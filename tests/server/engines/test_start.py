import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foldserve_engine.spec import EngineKind
from foldserve_server.engines import LocalEngine
from foldserve_server.errors import LoadFailed
from tests.bundles import change_weight
from tests.server.engines.fake_process import Loading
from tests.server.engines.support import FAKE, REAL, SETTINGS, Pipes, run, started


async def test_cancelling_the_start_kills_the_candidate(path: Path) -> None:
    (path.parent / Loading.HANGS).touch()
    starting = asyncio.create_task(LocalEngine.start(path, SETTINGS, command=FAKE))
    await Pipes(path).entered()
    assert children()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not children()


async def test_a_candidate_loads_on_one_core_in_a_session_of_its_own_and_is_the_first_to_go(path: Path) -> None:
    (path.parent / Loading.HANGS).touch()
    starting = asyncio.create_task(LocalEngine.start(path, SETTINGS, command=FAKE))
    await Pipes(path).entered()
    (child,) = map(int, children().split())
    assert Path(f"/proc/{child}/oom_score_adj").read_text().strip() == "1000"
    assert len(os.sched_getaffinity(child)) == 1
    assert os.getsid(child) == child
    starting.cancel()
    await asyncio.wait({starting})


def children() -> str:
    """This process's engine processes; other tests may have left a pool or a tracker of resources."""
    threads = Path(f"/proc/{os.getpid()}/task")
    pids = " ".join((thread / "children").read_text() for thread in threads.iterdir()).split()
    return " ".join(pid for pid in pids if b"--control" in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_load_that_takes_too_long_is_given_up(path: Path) -> None:
    (path.parent / Loading.STALLS).touch()
    with pytest.raises(LoadFailed, match=r"longer than 0\.5 s"):
        run(refused(path, load_timeout_s=0.5))
    assert not children()


async def refused(path: Path, **changes: Any) -> None:
    async with started(path, **changes):
        raise AssertionError("it was put into service")


@pytest.mark.parametrize(
    ("loading", "reason"), [(Loading.REFUSES, "told to refuse"), (Loading.DIES, "while loading.* SIGKILL")]
)
def test_a_candidate_that_fails_is_told_with_its_reason(path: Path, loading: Loading, reason: str) -> None:
    (path.parent / loading).touch()
    with pytest.raises(LoadFailed, match=reason):
        run(refused(path))


def test_the_cause_of_a_death_while_loading_keeps_its_name_in_the_metrics(path: Path) -> None:
    (path.parent / Loading.DIES).touch()
    with pytest.raises(LoadFailed) as caught:
        run(refused(path))
    assert caught.value.cause == "CandidateDied"


def test_a_changed_weight_under_a_right_seal_is_found_by_the_golden_samples(path: Path) -> None:
    change_weight(path, by=0.01)
    with pytest.raises(LoadFailed, match=r"output 'scores', sample \d+ .* is allowed"):
        run(refused(path, command=REAL))


def test_a_file_that_was_changed_is_refused(path: Path) -> None:
    with (path / "model.onnx").open("ab") as model:
        model.write(b".")
    with pytest.raises(LoadFailed, match="not the file that was sealed"):
        run(refused(path, command=REAL))


def test_a_missing_file_is_refused(path: Path) -> None:
    (path / "golden.npz").unlink()
    with pytest.raises(LoadFailed, match=r"golden\.npz is missing"):
        run(refused(path, command=REAL))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": EngineKind.TENSORFLOW}, "saved_model"),
        ({"device": "cuda:0"}, "cuda:0 needs"),
        ({"device": "cuda:0", "tf32": True}, "promises nothing for it"),
        ({"memory_limit_bytes": 1 << 20}, "memory limit is 1,048,576 bytes"),
    ],
)
def test_an_engine_that_cannot_be_had_is_refused(path: Path, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(LoadFailed, match=reason):
        run(refused(path, command=REAL, **changes))


def test_a_command_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(LoadFailed, match="no engine process can be started"):
        run(refused(path, command=("/nowhere/python",)))


def test_the_front_end_imports_no_engine_library() -> None:
    code = "import sys, foldserve_server.engines; print(*{name.partition('.')[0] for name in sys.modules})"
    results = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"onnxruntime", "tensorflow", "keras", "grpc", "onnx"} & set(results)


def test_the_engine_process_imports_no_grpc() -> None:
    code = """
import sys
import foldserve_engine.worker.engine_process_main, onnxruntime
print(*{name.partition('.')[0] for name in sys.modules})
"""
    results = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"grpc", "google", "foldserve_server", "foldserve", "tensorflow", "keras"} & set(results)
