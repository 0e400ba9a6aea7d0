import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from foldserve_engine.worker.loading_priority import LoadingPriority

THREADS = Path("/proc/self/task")


def schedules() -> set[tuple[int, int]]:
    """The policy and the priority of every thread."""
    numbers = [int(thread.name) for thread in THREADS.iterdir()]
    return {(os.sched_getscheduler(number), os.getpriority(os.PRIO_PROCESS, number)) for number in numbers}


@pytest.fixture
def cores() -> Iterator[set[int]]:
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


def test_a_loading_engine_gives_way_and_so_do_threads_that_were_made_meanwhile_until_it_serves(cores: set[int]) -> None:
    before = schedules()
    stop = threading.Event()
    with LoadingPriority() as way:
        thread = threading.Thread(target=stop.wait)
        thread.start()
        assert {policy for policy, _ in schedules()} == {os.SCHED_BATCH}
        assert len(os.sched_getaffinity(0)) == 1 and way.cores == len(cores)
    assert schedules() == before
    assert all(os.sched_getaffinity(int(item.name)) == cores for item in THREADS.iterdir())
    stop.set()
    thread.join()


def test_it_may_have_all_cores_and_still_give_way(cores: set[int]) -> None:
    with LoadingPriority() as way:
        way.take_all_cores()
        assert os.sched_getaffinity(0) == cores
        assert {policy for policy, _ in schedules()} == {os.SCHED_BATCH}


def test_an_engine_gives_way_before_it_imports_what_takes_time() -> None:
    code = """
import sys
from foldserve_engine import __main__
class Stop(Exception): pass
def way(): print(*sys.modules); raise Stop
__main__.LoadingPriority = way
try: __main__.main()
except Stop: pass
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "foldserve_engine.worker.process_limits" in output and not {
        "numpy",
        "foldserve_engine.worker.engine_process_main",
    } & set(output)
