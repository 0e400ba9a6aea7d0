import asyncio
import random
from pathlib import Path

import numpy as np

from foldserve_server.engines import RestartPolicy
from foldserve_server.errors import DeadlineExceeded, Unavailable
from tests.server.engines.fake_process import Command
from tests.server.engines.support import expected, in_ms, rows, started

CALLERS = 200


async def test_callers_who_come_and_leave_and_run_out_of_time_are_each_answered_once_and_rightly(path: Path) -> None:
    draw = random.Random(0)
    async with started(path, max_batch_size=8) as engine:

        async def caller(number: int) -> str:
            inputs = rows(*(number + index / 100 for index in range(draw.randint(0, 20))))
            patience_ms = draw.choice([None, 0.2, 5, 60_000])
            for _ in range(draw.randint(0, 20)):
                await asyncio.sleep(0)
            task = asyncio.create_task(engine.predict(inputs, None if patience_ms is None else in_ms(patience_ms)))
            if draw.random() < 0.3:
                for _ in range(draw.randint(0, 20)):
                    await asyncio.sleep(0)
                task.cancel()
            return await outcome(task, expected(path, inputs) if len(inputs["features"]) else None)

        outcomes = await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        await engine.stop(60)
        assert not len(engine.queue)
        outcomes = outcomes
    assert len(outcomes) == CALLERS
    assert set(outcomes) == {"answered", "left", "late"}


async def test_callers_are_each_answered_once_and_rightly_while_the_engine_dies_again_and_again(path: Path) -> None:
    draw = random.Random(1)
    restarts = RestartPolicy(limit=1000, first_delay_s=0.001, longest_delay_s=0.001)
    async with started(path, max_batch_size=4, restarts=restarts) as engine:

        async def caller(number: int) -> str:
            inputs = rows(*(number + index / 100 for index in range(draw.randint(1, 10))))
            for _ in range(draw.randint(0, 40)):
                await asyncio.sleep(0)
            if number % 40 == 17:
                inputs = rows(Command.DIE)
            task = asyncio.create_task(engine.predict(inputs))
            if draw.random() < 0.2:
                for _ in range(draw.randint(0, 20)):
                    await asyncio.sleep(0)
                task.cancel()
            return await outcome(task, expected(path, inputs))

        outcomes = await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        await engine.stop(60)
        assert not len(engine.queue)
        outcomes = outcomes
    assert len(outcomes) == CALLERS
    assert set(outcomes) == {"answered", "left", "told to try again"}


async def outcome(task: "asyncio.Task[dict[str, np.ndarray]]", right: np.ndarray | None) -> str:
    try:
        answer = (await task)["scores"]
    except asyncio.CancelledError:
        return "left"
    except DeadlineExceeded:
        return "late"
    except Unavailable:
        return "told to try again"
    if right is None:
        assert answer.shape == (0, 3)
    else:
        np.testing.assert_allclose(answer, right, atol=1e-4)
    return "answered"
