"""One engine process, and several front ends that ask it: whose answers, and after whose death."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_engine.link.packets import Credits
from foldserve_server.engines.client.engine_client import EngineClient
from foldserve_server.engines.process.spawn import LaunchedEngine, launch
from foldserve_server.errors import QueueFull, Unavailable
from tests.server.engines.fake_process import Command
from tests.server.engines.support import FAKE, SETTINGS, Pipes, expected, rows

CALLERS = 150
LOST = Unavailable("the engine crashed", 5)


class Harness:
    """A slow fake engine, and links of as many front ends as there are to be."""

    def __init__(self, path: Path, launched: LaunchedEngine, front_ends: int, **changes: Any) -> None:
        self.settings = replace(SETTINGS, front_ends=front_ends, **changes)
        self.launched = launched
        self.report = launched.report
        self.links: dict[int, EngineClient] = {}

    def front(self, number: int) -> EngineClient:
        ready = self.launched.ready
        credits = Credits(ready.credit_rows, ready.credit_bytes)
        link = EngineClient(number, self.report.signature, self.report.max_batch_size, credits, self.settings)
        self.attach(link, number)
        self.links[number] = link
        return link

    def attach(self, link: EngineClient, number: int) -> None:
        item = self.launched
        link.attach(item.link(number), item.epoch, item.status, item.ready.warmed[-1], lambda: None)

    def kill(self, number: int) -> None:
        """The front end's process is gone: its end of the link is closed, whatever it had in hand."""
        link = self.links.pop(number)
        link.lost(LOST)
        link.fail(LOST)
        link.close()


@asynccontextmanager
async def harness(path: Path, front_ends: int, **changes: Any) -> AsyncIterator[Harness]:
    settings = replace(SETTINGS, front_ends=front_ends, **changes)
    launched = await launch(path, settings, FAKE)
    made = Harness(path, launched, front_ends, **changes)
    try:
        yield made
    finally:
        for number in list(made.links):
            made.kill(number)
        await made.launched.discard()


async def test_no_caller_ever_gets_another_callers_rows(path: Path) -> None:
    """Callers come and leave, and front ends die and are followed by others, while a slow engine mixes their rows."""
    draw = random.Random(2)
    async with harness(path, 3, max_batch_size=8) as made:
        for number in (1, 2, 3):
            made.front(number)
        newest = 3

        async def caller(number: int) -> str:
            nonlocal newest
            for _ in range(draw.randint(0, 60)):
                await asyncio.sleep(0)
            front = draw.choice(sorted(made.links))
            inputs = rows(*(number + index / 100 for index in range(draw.randint(1, 20))))
            task = asyncio.create_task(made.links[front].predict(inputs, None, False))
            kills, leaves = number % 30 == 7, draw.random() < 0.3
            for _ in range(1 if kills else draw.randint(0, 30)):
                await asyncio.sleep(0)
            if leaves and not kills:
                task.cancel()
            elif kills and front in made.links:
                made.kill(front)
                newest += 1
                made.front(newest)
            return await outcome(task, expected(path, inputs))

        outcomes = list(await asyncio.gather(*(caller(number) for number in range(CALLERS))))
    assert len(outcomes) == CALLERS
    assert set(outcomes) == {"answered", "left", "lost"}
    assert outcomes.count("answered") > CALLERS // 3


async def outcome(task: "asyncio.Task[dict[str, np.ndarray]]", right: np.ndarray) -> str:
    try:
        answer = (await task)["scores"]
    except asyncio.CancelledError:
        return "left"
    except Unavailable:
        return "lost"
    np.testing.assert_allclose(answer, right, atol=1e-4)
    return "answered"


async def test_what_a_dead_front_end_had_queued_is_not_computed_and_the_others_are_answered(path: Path) -> None:
    pipes = Pipes(path)
    async with harness(path, 2) as made:
        dying, staying = made.front(1), made.front(2)
        held = asyncio.create_task(staying.predict(rows(Command.HOLD), None, False))
        await pipes.entered()
        doomed = asyncio.create_task(dying.predict(rows(Command.DIE), None, False))
        waiting = asyncio.create_task(staying.predict(rows(1), None, False))
        await asyncio.sleep(0)
        made.kill(1)
        with pytest.raises(Unavailable):
            await doomed
        await pipes.release()
        await held
        np.testing.assert_allclose((await waiting)["scores"], expected(path, rows(1)), atol=1e-5)
        assert not made.launched.child.exited.done(), "the engine has computed what would have killed it"


async def test_the_queue_is_shared_out_and_what_the_dead_had_goes_to_the_living(path: Path) -> None:
    pipes = Pipes(path)
    async with harness(path, 2, max_queue_rows=8) as made:
        made.front(1)
        staying = made.front(2)
        assert staying.pending.max_rows == 4
        held = asyncio.create_task(staying.predict(rows(Command.HOLD), None, False))
        await pipes.entered()
        waiting = asyncio.create_task(staying.predict(rows(1, 2, 3), None, False))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await staying.predict(rows(1), None, False)
        made.kill(1)
        await pipes.release()
        await asyncio.gather(held, waiting)
        while staying.pending.max_rows != 8:
            await staying.predict(rows(1), None, False)
        made.front(3)
        while staying.pending.max_rows != 4:
            await staying.predict(rows(1), None, False)


async def test_an_engine_that_dies_is_seen_by_every_front_end_and_frees_all_their_slots(path: Path) -> None:
    pipes = Pipes(path)
    async with harness(path, 2) as made:
        links = [made.front(1), made.front(2)]
        held = asyncio.create_task(links[0].predict(rows(Command.HOLD), None, False))
        await pipes.entered()
        queued = [
            asyncio.create_task(link.predict(rows(value), None, False))
            for link, value in zip(links, (1, 2), strict=True)
        ]
        await asyncio.sleep(0)
        os.kill(made.launched.child.pid, signal.SIGKILL)
        await asyncio.shield(made.launched.child.exited)
        for link in links:
            link.lost(LOST)
        with pytest.raises(Unavailable, match="crashed"):
            await held
        assert [len(link.pending) for link in links] == [1, 1], "what was queued waits for the next engine"
        before = made.launched
        made.launched = await launch(path, made.settings, FAKE, before)
        before.close()
        for number, link in enumerate(links, 1):
            made.attach(link, number)
        for value, task in zip((1, 2), queued, strict=True):
            np.testing.assert_allclose((await task)["scores"], expected(path, rows(value)), atol=1e-5)
        assert [len(link.pending) for link in links] == [0, 0]
        assert made.launched.epoch == 2 and sum(made.launched.status.stats.sizes) >= 2, "and counts go on"


async def test_an_engine_keeps_nothing_of_front_ends_that_are_gone(path: Path) -> None:
    async with harness(path, 2) as made:
        process = Path(f"/proc/{made.launched.child.pid}")

        def held() -> tuple[int, int]:
            descriptors = len(list((process / "fd").iterdir()))
            return descriptors, (process / "maps").read_text().count("memfd:foldserve-arena")

        staying = made.front(1)
        for number in (2, 3, 4, 5):
            coming = made.front(number)
            large = {"features": np.ones((8_000, 4), np.float32)}
            await asyncio.gather(coming.predict(rows(1), None, False), coming.predict(large, None, False))
            before = held()
            made.kill(number)
            while held()[1] == before[1]:
                await staying.predict(rows(1), None, False)
        assert held()[1] == 1
        made.front(6)
        await made.links[6].predict(rows(1), None, False)
        assert held() == before
