"""A front end's table, and its links to a real engine whose supervisor is played by a test."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_engine.spec import EngineKind
from foldserve_server.engines.process.spawn import LaunchedEngine, launch
from foldserve_server.errors import ServableNotFound, Unavailable
from foldserve_server.frontends import messages
from foldserve_server.frontends.front_end.routing import Routing
from foldserve_server.frontends.messages import (
    EngineEntry,
    EngineLinked,
    EngineProfile,
    ModelEntry,
    ReleaseEngine,
    VersionEntry,
)
from foldserve_server.frontends.shared_counters import SharedCounterStore
from foldserve_server.models.model_config import Specific
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import ServableState
from tests.server.engines.conftest import path as path
from tests.server.engines.fake_process import Command
from tests.server.engines.support import FAKE, SETTINGS, Pipes, expected, rows

FRONT = 5
ON = replace(SETTINGS, front_ends=2)


class Harness:
    """A front end's routing, and the processes of one engine."""

    def __init__(self, path: Path, launched: LaunchedEngine, store: SharedCounterStore) -> None:
        self.path = path
        self.launched = launched
        self.routing = Routing(RoutingTable(), FRONT, dict.fromkeys(EngineKind, ON), store, 1.0)
        self.table = self.routing.table

    def link(self, engine: int = 1, to: LaunchedEngine | None = None) -> None:
        launched = to or self.launched
        report, ready = launched.report, launched.ready
        output = EngineProfile(str(self.path), EngineKind.ONNXRUNTIME, report, ready.credit_rows, ready.credit_bytes)
        status = os.dup(launched.status.memory.descriptor)
        self.routing.link(EngineLinked(engine, launched.epoch, output), [launched.link(FRONT).detach(), status])

    def adopt(self, *versions: VersionEntry, available: bool = True, restarts: int = 0, **labels: int) -> None:
        model = ModelEntry("m", versions, labels, True, Specific(frozenset({1, 2})))
        engines = (EngineEntry(1, available, restarts),)
        self.routing.adopt(messages.TableSnapshot(1, True, (model,), engines))

    async def predict(self, **ref: Any) -> np.ndarray:
        with self.table.find(ModelRef("m", **ref)).lease() as engine:
            return (await engine.predict(rows(3), None))["scores"]

    async def release(self, reason: str | None = None) -> None:
        await self.routing.release(ReleaseEngine(1, reason, 7), lambda engine: None)


def version(number: int = 1, state: ServableState = ServableState.AVAILABLE, **changes: Any) -> VersionEntry:
    entry = VersionEntry(number, number, int(state), False, "", "", 1, None)
    return replace(entry, **changes)


@asynccontextmanager
async def routed(path: Path) -> AsyncIterator[Harness]:
    store = SharedCounterStore.create(3, 0, 1 << 20)
    launched = await launch(path, ON, FAKE)
    harness = Harness(path, launched, store)
    try:
        yield harness
    finally:
        await harness.release("over")
        await harness.launched.discard()
        store.memory.close()


async def test_a_version_answers_by_the_engine_it_is_linked_with(path: Path) -> None:
    async with routed(path) as harness:
        harness.link()
        harness.adopt(
            version(reason="so it is"), version(2, ServableState.END, engine=None, failed=True, cause="X"), stable=1
        )
        assert harness.table.policy("m") == Specific(frozenset({1, 2}))
        np.testing.assert_allclose(await harness.predict(), expected(path, rows(3)), atol=1e-5)
        np.testing.assert_allclose(await harness.predict(label="stable"), expected(path, rows(3)), atol=1e-5)
        two, item = harness.table.status(ModelRef("m"))
        assert (two.state, two.failed, two.cause) == (ServableState.END, True, "X")
        assert (item.reason, item.available) == ("so it is", True)
        engine = item.engine
        assert (engine.info.kind, engine.info.max_batch_size, engine.info.path) == ("onnxruntime", 32, path)
        assert engine.info.verdicts and "golden deviation" in engine.info.summary
        assert (engine.load.max_rows, engine.load.rows, engine.load.sizes.total) == (16_384, 0, 2)
        with pytest.raises(ServableNotFound):
            await harness.predict(version=2)


async def test_what_is_adopted_is_all_there_is_and_a_version_stays_itself(path: Path) -> None:
    async with routed(path) as harness:
        harness.link()
        harness.adopt(version(), old=1)
        before = harness.table.find(ModelRef("m"))
        await harness.predict()
        harness.adopt(version(), new=1)
        assert harness.table.find(ModelRef("m", label="new")) is before and before.engine.load.sizes.total == 1
        with pytest.raises(Exception, match="Unrecognized servable version label: old"):
            harness.table.find(ModelRef("m", label="old"))
        harness.routing.adopt(messages.TableSnapshot(2, True, (), ()))
        assert harness.table.names() == []


async def test_a_front_end_that_never_saw_the_version_before_knows_that_there_was_one(path: Path) -> None:
    async with routed(path) as harness:
        harness.adopt(version(2, ServableState.LOADING, engine=None))
        with pytest.raises(Unavailable, match="is loaded in the place of another"):
            harness.table.find(ModelRef("m"))


async def test_an_engine_that_dies_is_asked_again_when_there_is_a_new_link(path: Path) -> None:
    async with routed(path) as harness:
        harness.link()
        harness.adopt(version())
        pipes = Pipes(path)
        engine = harness.table.find(ModelRef("m")).engine
        held = asyncio.create_task(_ask(engine, Command.HOLD))
        await pipes.entered()
        queued = asyncio.create_task(_ask(engine, 4))
        await asyncio.sleep(0)
        harness.launched.child.kill()
        with pytest.raises(Unavailable, match="crashed and is being restarted") as caught:
            await held
        assert caught.value.retry_after_ms
        harness.adopt(version(), available=False)
        assert not harness.table.find(ModelRef("m")).available
        with pytest.raises(Unavailable, match="being restarted"):
            await harness.predict()
        before, harness.launched = harness.launched, await launch(harness.path, ON, FAKE, harness.launched)
        before.close()
        harness.link()
        harness.adopt(version(), restarts=1)
        np.testing.assert_allclose(await queued, expected(path, rows(4)), atol=1e-5)
        assert harness.table.find(ModelRef("m")).available and engine.load.restarts == 1


async def _ask(engine: Any, first: float) -> np.ndarray:
    return np.asarray((await engine.predict(rows(first), None))["scores"])


async def test_a_version_is_released_when_its_last_caller_has_its_answer(path: Path) -> None:
    async with routed(path) as harness:
        harness.link()
        harness.adopt(version())
        servable = harness.table.find(ModelRef("m"))
        pipes = Pipes(path)
        with servable.lease() as engine:
            held = asyncio.create_task(_ask(engine, Command.HOLD))
            await pipes.entered()
            harness.adopt(version(state=ServableState.UNLOADING))
            releasing = asyncio.create_task(harness.release())
            await pipes.release()
            assert (await held).shape == (1, 3)
            assert not releasing.done(), "somebody may still ask"
        await releasing
        harness.adopt(version(state=ServableState.END, engine=None))
        assert harness.table.status(ModelRef("m"))[0].state is ServableState.END


async def test_a_release_that_gives_a_reason_waits_for_nobody(path: Path) -> None:
    async with routed(path) as harness:
        harness.link()
        harness.adopt(version())
        pipes = Pipes(path)
        held = asyncio.create_task(_ask(harness.table.find(ModelRef("m")).engine, Command.HOLD))
        await pipes.entered()
        await harness.release("the grace is over")
        with pytest.raises(Unavailable, match="the grace is over") as caught:
            await held
        assert caught.value.retry_after_ms == 7
        await pipes.release()


async def test_a_shadow_engine_is_shown_what_this_front_end_is_asked(path: Path) -> None:
    async with routed(path) as harness:
        behind = await launch(harness.path, ON, FAKE)
        harness.link()
        harness.link(2, behind)
        harness.adopt(version(shadow=2))
        await harness.predict()
        engine = harness.table.find(ModelRef("m")).engine
        assert "shadowed by onnxruntime" in engine.info.summary
        mirror = engine.mirror  # type: ignore[attr-defined]
        await mirror.settled()
        assert (engine.drift.compared, engine.drift.beyond) == (1, 0)  # type: ignore[union-attr]
        await harness.routing.release(ReleaseEngine(2, "over", None), lambda number: None)
        await behind.discard()
