import asyncio
import itertools
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from foldserve_server.engines import LocalEngine
from foldserve_server.engines.process.child import ChildProcess
from foldserve_server.engines.process.throttle import throttled
from tests.server.engines.fake_process import Loading
from tests.server.engines.support import FAKE, SETTINGS, Pipes, rows, started
from tests.server.engines.test_start import children


class FakeChild:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.rests = asyncio.Event()

    def pause(self) -> None:
        self.told.append("pause")
        self.rests.set()

    def go_on(self) -> None:
        self.told.append("go on")


async def test_who_loads_rests_in_turns_while_others_compute_and_goes_on_at_the_end() -> None:
    child = FakeChild()
    count = itertools.count()
    async with throttled(cast(ChildProcess, child), lambda: next(count)):
        for _ in range(3):
            child.rests.clear()
            await child.rests.wait()
    assert child.told[:5] == ["pause", "go on", "pause", "go on", "pause"]
    assert child.told[-1] == "go on"
    before = list(child.told)
    await asyncio.sleep(0)
    assert child.told == before, "nobody is stopped that serves"


async def test_who_loads_while_nobody_computes_is_not_held_up() -> None:
    child, looks, enough = FakeChild(), itertools.count(), asyncio.Event()

    def batches() -> int:
        if next(looks) == 5:
            enough.set()
        return 7

    async with throttled(cast(ChildProcess, child), batches):
        await enough.wait()
    assert "pause" not in child.told
    async with throttled(cast(ChildProcess, child), None):
        await asyncio.sleep(0)
    assert child.told == ["go on"], "one that takes the place of a crashed one is not even looked after"


async def test_an_engine_that_loads_in_turns_serves_and_one_that_is_given_up_is_gone(path: Path) -> None:
    before, count = children(), itertools.count()
    async with started(path, batches_of_others=lambda: next(count)) as engine:
        await engine.predict(rows(1))
    (path.parent / Loading.HANGS).touch()
    settings = replace(SETTINGS, batches_of_others=lambda: next(count))
    starting = asyncio.create_task(LocalEngine.start(path, settings, command=FAKE))
    await Pipes(path).entered()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() == before
