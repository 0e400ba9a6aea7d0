import asyncio
import gc
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_server.engines import EngineState, RestartPolicy, WatchdogPolicy
from foldserve_server.engines.process import engine_supervisor
from foldserve_server.engines.process.restart_policy import RestartBackoff
from foldserve_server.engines.process.spawn import LaunchedEngine, launch
from foldserve_server.errors import DeadlineExceeded, NotNow, Unavailable
from tests.bundles import change_weight, reseal
from tests.server.engines.fake_process import Command, Loading
from tests.server.engines.support import SETTINGS, Pipes, States, expected, in_ms, rows, run, started


async def test_a_crash_costs_the_batch_that_died_and_what_waited_is_answered_by_the_next_engine(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path) as engine:
        states = States(engine)
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        waiting = [asyncio.create_task(engine.predict(rows(value))) for value in (1, 2)]
        await asyncio.sleep(0)
        before = engine.report.pid
        os.kill(before, signal.SIGKILL)
        with pytest.raises(Unavailable, match="crashed") as caught:
            await held
        assert caught.value.retry_after_ms
        for value, task in zip((1, 2), waiting, strict=True):
            np.testing.assert_allclose((await task)["scores"], expected(path, rows(value)), atol=1e-5)
        assert [state for state, _ in states.heard] == [EngineState.RESTARTING, EngineState.AVAILABLE]
        assert "SIGKILL" in states.heard[0][1]
        assert engine.report.pid != before


async def test_an_engine_that_can_compute_nothing_any_more_ends_with_its_batch_and_another_answers_what_waited(
    path: Path,
) -> None:
    pipes = Pipes(path)
    async with started(path, max_batch_size=8) as engine:
        states = States(engine)
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        together = [asyncio.create_task(engine.predict(rows(*item))) for item in ((Command.LOSE, 1, 1, 1), (2,) * 4)]
        waiting = asyncio.create_task(engine.predict(rows(*(3,) * 8)))
        await asyncio.sleep(0)
        before = engine.report.pid
        await pipes.release()
        np.testing.assert_allclose((await held)["scores"], expected(path, rows(Command.HOLD)), atol=1e-5)
        for task in together:
            with pytest.raises(Unavailable, match="crashed"):
                await task
        np.testing.assert_allclose((await waiting)["scores"], expected(path, rows(*(3,) * 8)), atol=1e-5)
        assert [state for state, _ in states.heard] == [EngineState.RESTARTING, EngineState.AVAILABLE]
        assert "CUDA error 700" in states.heard[0][1]
        assert engine.report.pid != before


async def test_whoever_asks_while_the_engine_restarts_is_told_to_come_back(path: Path) -> None:
    async with started(path) as engine:
        states = States(engine)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        assert not engine.available
        with pytest.raises(Unavailable, match="being restarted"):
            await engine.predict(rows(1))
        await states.until(EngineState.AVAILABLE)
        await engine.predict(rows(1))


async def test_an_engine_that_cannot_be_started_again_yet_is_not_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    async def launch_later(*how: Any) -> LaunchedEngine:
        attempts.append(1)
        if len(attempts) <= SETTINGS.restarts.limit:
            raise NotNow("no engine process can be started: too many open files")
        return await launch(*how)

    async with started(path) as engine:
        states = States(engine)
        monkeypatch.setattr(engine_supervisor, "launch", launch_later)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        await states.until(EngineState.AVAILABLE)
        assert EngineState.ENDED not in {state for state, _ in states.heard}
        assert any("too many open files" in reason for _, reason in states.heard)
        await engine.predict(rows(1))


async def test_a_deadline_passes_while_the_engine_restarts(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path, restarts=RestartPolicy(first_delay_s=60, longest_delay_s=60)) as engine:
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        waiting = asyncio.create_task(engine.predict(rows(1), deadline_ns=in_ms(200)))
        leaving = asyncio.create_task(engine.predict(rows(1)))
        await asyncio.sleep(0)
        os.kill(engine.report.pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await held
        leaving.cancel()
        with pytest.raises(DeadlineExceeded):
            await waiting


async def test_a_batch_that_hangs_is_ended_as_a_crash(path: Path) -> None:
    watchdog = WatchdogPolicy(least_s=0.5, factor=1, interval_s=0.05)
    async with started(path, watchdog=watchdog) as engine:
        states = States(engine)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.HANG))
        assert "hung" in states.heard[0][1]
        await states.until(EngineState.AVAILABLE)
        await engine.predict(rows(1))


async def test_an_engine_that_is_stopped_without_a_batch_is_ended_as_a_crash(path: Path) -> None:
    watchdog = WatchdogPolicy(least_s=0.5, factor=1, interval_s=0.05)
    async with started(path, watchdog=watchdog) as engine:
        states = States(engine)
        os.kill(engine.report.pid, signal.SIGSTOP)
        waiting = asyncio.create_task(engine.predict(rows(1)))
        assert "hung" in await states.until(EngineState.RESTARTING)
        assert (await waiting)["scores"].shape == (1, 3), "it had not begun: the next process computes it"


async def test_too_many_crashes_end_it_with_the_reason(path: Path) -> None:
    async with started(path, restarts=replace(SETTINGS.restarts, limit=3)) as engine:
        states = States(engine)
        for crash in range(3):
            with pytest.raises(Unavailable):
                await engine.predict(rows(Command.DIE))
            if crash < 2:
                await states.until(EngineState.AVAILABLE)
        assert engine.state is EngineState.ENDED
        assert "crashed 3 times" in states.heard[-1][1]
        with pytest.raises(Unavailable, match="has ended: it crashed 3 times") as caught:
            await engine.predict(rows(1))
        assert caught.value.retry_after_ms is None


async def test_an_engine_that_dies_while_it_is_restarted_is_tried_again_until_it_was_too_often(path: Path) -> None:
    async with started(path) as engine:
        states = States(engine)
        (path.parent / Loading.DIES).touch()
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        assert "while loading" in await states.until(EngineState.ENDED)
        assert len(states.heard) == 5


async def test_a_restart_passes_the_gate_again(path: Path) -> None:
    async with started(path) as engine:
        states = States(engine)
        change_weight(path)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        assert "is allowed" in await states.until(EngineState.ENDED)


async def test_a_restart_serves_the_bundle_that_was_there_or_none(path: Path) -> None:
    async with started(path) as engine:
        states = States(engine)
        (path / "labels.txt").write_text("one")
        reseal(path)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        assert "another bundle" in await states.until(EngineState.ENDED)


async def test_stopping_while_it_restarts_answers_those_who_wait(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path, restarts=RestartPolicy(first_delay_s=60, longest_delay_s=60)) as engine:
        states = States(engine)
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        waiting = asyncio.create_task(engine.predict(rows(1)))
        await asyncio.sleep(0)
        os.kill(engine.report.pid, signal.SIGKILL)
        await states.until(EngineState.RESTARTING)
        await engine.stop(10)
        for task in (held, waiting):
            with pytest.raises(Unavailable):
                await task


async def test_the_last_words_of_a_native_crash_are_in_the_reason_and_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(path) as engine:
        states = States(engine)
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.SPEAK_AND_ABORT))
        assert "SIGABRT" in states.heard[0][1]
        await states.until(EngineState.AVAILABLE)
    assert "native library: assertion failed" in caplog.text


def test_a_restart_leaks_neither_descriptors_nor_memory(path: Path) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count("foldserve-")

    async def test() -> None:
        async with started(path, restarts=replace(SETTINGS.restarts, limit=9)) as engine:
            states = States(engine)
            counts = []
            for _ in range(3):
                large = {"features": np.zeros((16_000, 4), np.float32)}
                await engine.predict(large)
                with pytest.raises(Unavailable):
                    await engine.predict(rows(Command.DIE))
                await states.until(EngineState.AVAILABLE)
                counts.append((descriptors(), mappings()))
            assert counts[0] == counts[1] == counts[2]

    before = descriptors(), mappings()
    run(test())
    assert (descriptors(), mappings()) == before


def test_waits_between_restarts_grow_and_old_crashes_are_forgotten() -> None:
    crashes = RestartBackoff(RestartPolicy(limit=4, window_s=60, first_delay_s=0.1, longest_delay_s=0.3))
    assert [crashes.note(now) for now in (0, 1, 2)] == [0.1, 0.2, 0.3]
    assert crashes.note(61.5) == 0.2
    assert [crashes.note(now) for now in (62, 63, 64)] == [0.2, 0.3, None]


async def test_a_hook_that_fails_does_not_keep_an_engine_from_its_restart(path: Path) -> None:
    async with started(path) as engine:
        restarted = asyncio.Event()

        def hear(state: EngineState, reason: str) -> None:
            if state is EngineState.AVAILABLE:
                restarted.set()
            raise RuntimeError(reason)

        engine.on_state = hear
        with pytest.raises(Unavailable):
            await engine.predict(rows(Command.DIE))
        await restarted.wait()
        await engine.predict(rows(1))


async def test_no_descriptor_left_refuses_large_requests_and_leaves_nothing_behind(path: Path) -> None:
    async with started(path) as engine:
        large = {"features": np.zeros((16_000, 4), np.float32)}
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with pytest.raises(Unavailable, match="no memory for the request"):
                await engine.predict(large)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert (await engine.predict(large))["scores"].shape == (16_000, 3)
        assert not len(engine.queue)
