"""The supervisor's side against front ends that are played by a test."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldserve_server.config.parse_flags import parse
from foldserve_server.engines import RestartPolicy
from foldserve_server.errors import CannotStart, FrontEndsFailed, Unavailable
from foldserve_server.frontends.shared_counters import SharedCounterStore
from foldserve_server.frontends.supervisor.front_end_pool import FrontEndPool, PoolPlan
from foldserve_server.frontends.supervisor.shared_engine import SharedEngine
from foldserve_server.models.model_config import Latest
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable, ServableState
from tests.server.fakes import FakeEngine, manifest
from tests.server.frontends.test_admin_messages import Remembering

ACTOR = Path(__file__).with_name("actor.py")
QUICK = RestartPolicy(limit=3, window_s=60, first_delay_s=0.01, longest_delay_s=0.02)


class Harness:
    """A pool of front ends that do as the files in a folder tell them; see `actor`."""

    def __init__(self, folder: Path, front_ends: int = 2, timeout_s: float = 30.0) -> None:
        self.folder = folder
        options = replace(
            parse([str(folder), "--port=0", "--rest_api_port=0", f"--front-ends={front_ends}"]).options,
            front_end_timeout_s=timeout_s,
        )
        slots = front_ends + 1
        self.counters = SharedCounterStore.create(slots, slots - 1)
        self.table = RoutingTable()
        command = (sys.executable, "-P", str(ACTOR), str(folder))
        self.pool = FrontEndPool(PoolPlan(options, ("words",), command, QUICK), self.table, self.counters)

    def heard(self, front: int) -> list[dict[str, Any]]:
        """Messages that a front end received."""
        path = self.folder / f"heard-{front}"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def epochs(self, front: int) -> list[int]:
        return [item["epoch"] for item in self.heard(front) if item["kind"] == "TableSnapshot"]

    def publish(self, version: int) -> Servable:
        servable = Servable("m", version)
        self.table.begin(servable)
        self.table.publish(servable, FakeEngine(manifest(version)))
        return servable


@asynccontextmanager
async def pooled(folder: Path, **how: Any) -> AsyncIterator[Harness]:
    harness = Harness(folder, **how)
    try:
        yield harness
    finally:
        for front_end in harness.pool.running():
            front_end.child.kill()  # a stopped one ends too
        await harness.pool.stop(0)
        harness.counters.memory.close()


async def test_everybody_is_told_who_it_is_and_the_whole_table_before_it_listens(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        harness.publish(1)
        await harness.pool.start(Remembering())
        for front in (1, 2):
            welcome, first, *_ = harness.heard(front)
            assert welcome["kind"] == "FrontEndHello" and welcome["arguments"] == ["words"]
            assert (welcome["front_end"], welcome["slot"], welcome["slots"]) == (front, front - 1, 3)
            assert (welcome["parent"], welcome["port"]) == (os.getpid(), harness.pool.port)
            assert (
                first["kind"] == "TableSnapshot"
                and first["models"][0]["versions"][0]["state"] == ServableState.AVAILABLE
            )
            assert harness.heard(front)[-1]["kind"] == "StartListening"


async def test_changes_of_one_moment_are_one_table_and_settled_waits_for_everybody(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        await harness.pool.start(Remembering())
        before = harness.epochs(1)[-1]
        (tmp_path / "deaf-2").touch()
        old = harness.publish(1)
        harness.publish(2)
        harness.table.unload(old)
        harness.table.relabel("m", {"stable": 2})
        harness.table.set_policy("m", Latest(2))
        settling = asyncio.create_task(harness.pool.settled())
        while harness.epochs(1)[-1] == before:
            await asyncio.sleep(0.01)
        assert not settling.done()
        (tmp_path / "deaf-2").unlink()
        await settling
        assert harness.epochs(1)[-1] == harness.epochs(2)[-1] == before + 1
        (model,) = harness.heard(1)[-1]["models"]
        assert [(item["version"], item["state"]) for item in model["versions"]] == [(1, 40), (2, 30)]
        assert model["labels"] == {"stable": 2} and model["policy"] == {"type": "Latest", "count": 2}


async def test_who_adopts_nothing_in_time_is_ended_and_settled_waits_for_it_no_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pooled(tmp_path, timeout_s=2.0) as harness:
        await harness.pool.start(Remembering())
        stopped = harness.pool.running()[1]
        os.kill(stopped.pid, signal.SIGSTOP)
        harness.publish(1)
        await harness.pool.settled()
        assert stopped.child.exited.done()
        assert "front end 2 did not answer its supervisor within 2 s" in caplog.text
        while not all(item.listening for item in harness.pool.running()) or len(harness.pool.running()) < 2:
            await harness.pool.changes.ticket().wait()
        assert harness.heard(3)[1]["models"], "its successor has the current table from the beginning"


async def test_who_answers_nothing_is_ended_though_nothing_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pooled(tmp_path, timeout_s=2.0) as harness:
        await harness.pool.start(Remembering())
        staying, stopped = harness.pool.running()
        os.kill(stopped.pid, signal.SIGSTOP)
        await asyncio.shield(stopped.child.exited)
        assert "front end 2 did not answer its supervisor within 2 s" in caplog.text
        while not all(item.listening for item in harness.pool.running()) or len(harness.pool.running()) < 2:
            await harness.pool.changes.ticket().wait()
        assert staying in harness.pool.running(), "who answers is left alone"
        assert harness.epochs(1) == harness.epochs(3)[-1:], "nothing has changed"


async def test_who_spins_without_a_large_message_in_hand_is_ended_as_soon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pooled(tmp_path, timeout_s=2.0) as harness:
        (tmp_path / "spins-2").touch()
        await harness.pool.start(Remembering())
        _, spinning = harness.pool.running()
        await asyncio.shield(spinning.child.exited)
        assert "front end 2 did not answer its supervisor within 2 s" in caplog.text


async def test_a_front_end_that_cannot_listen_keeps_the_server_from_starting(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        (tmp_path / "refuses").touch()
        with pytest.raises(CannotStart, match="it was told to refuse"):
            await harness.pool.start(Remembering())


async def test_front_ends_that_die_too_often_end_the_server(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        (tmp_path / "dies").touch()
        with pytest.raises(FrontEndsFailed, match=r"3 times within 60 s; at last front end \d was ended by SIGKILL"):
            await harness.pool.start(Remembering())


async def test_front_ends_that_cannot_be_started_are_tried_again_and_then_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pooled(tmp_path) as harness:
        harness.pool._plan = replace(harness.pool._plan, command=("/nowhere/python",))
        with pytest.raises(FrontEndsFailed, match="at last none could be started"):
            await harness.pool.start(Remembering())
    assert caplog.text.count("no front end can be started") >= 3


async def test_what_a_dead_front_end_had_in_hand_is_nobodys(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        await harness.pool.start(Remembering())
        SharedCounterStore.attach(harness.counters.memory.descriptor, 3, 1).counters(("queue", "4"), 3)[0] = 9
        assert harness.counters.totals("queue") == {("4",): [9, 0, 0]}
        dying = harness.pool.running()[1]
        dying.child.kill()
        await asyncio.shield(dying.child.exited)
        while dying in harness.pool.running():
            await asyncio.sleep(0)
        assert harness.counters.totals("queue") == {("4",): [0, 0, 0]}


async def test_nobody_is_started_again_while_the_server_stops(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        await harness.pool.start(Remembering())
        harness.pool.drain()
        await harness.pool.stop(5)
        assert not harness.pool.running()
        for front in (1, 2):
            assert [item["kind"] for item in harness.heard(front)[-2:]] == ["Drain", "Stop"]


async def test_a_second_fleet_cannot_have_the_port(tmp_path: Path) -> None:
    async with pooled(tmp_path) as harness:
        options = parse([str(tmp_path), f"--port={harness.pool.port}", "--front-ends=2"]).options
        with pytest.raises(CannotStart, match="Address already in use"):
            FrontEndPool(PoolPlan(options, ()), harness.table, harness.counters)


def test_the_supervisor_answers_no_predictions_itself() -> None:
    with pytest.raises(Unavailable, match="front ends do"):
        asyncio.run(SharedEngine.predict(object(), {}))  # type: ignore[arg-type]
