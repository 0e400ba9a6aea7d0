import os
import threading
from pathlib import Path

from foldserve_engine.limits import giving_way

THREADS = Path("/proc/self/task")


def schedules() -> set[tuple[int, int]]:
    """The policy and the priority of every thread."""
    numbers = [int(thread.name) for thread in THREADS.iterdir()]
    return {(os.sched_getscheduler(number), os.getpriority(os.PRIO_PROCESS, number)) for number in numbers}


def test_a_loading_engine_gives_way_and_so_do_threads_that_were_made_meanwhile_until_it_serves() -> None:
    before = schedules()
    stop = threading.Event()
    with giving_way():
        thread = threading.Thread(target=stop.wait)
        thread.start()
        assert {policy for policy, _ in schedules()} == {os.SCHED_BATCH}
    assert schedules() == before
    stop.set()
    thread.join()
