import asyncio
import shutil
from pathlib import Path

import pytest

from foldserve_server.errors import ServingError
from foldserve_server.models.query import ModelRef
from foldserve_server.models.servable import ServableState
from foldserve_server.repository.source import FolderSource
from tests.server.fakes import write_version

from .watching import Harness, watching


async def test_the_highest_version_of_every_model_is_served(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        for name, version in (("m", 1), ("m", 2), ("n", 7)):
            write_version(harness.root, version, name=name)
        await harness.look()
        assert (harness.serving("m"), harness.serving("n")) == (2, 7)
        assert sorted(harness.starter.started) == ["m/2", "n/7"]


async def test_a_new_version_serves_before_the_old_one_is_stopped(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        old = harness.starter.engines["m/1"]
        write_version(harness.root, 2)
        with harness.table.find(ModelRef("m")).lease():
            await harness.look()
            assert harness.serving() == 2 and harness.state(1) is ServableState.UNLOADING
            assert not old.stopped.is_set(), "somebody is waiting for its answer"
        await asyncio.wait_for(old.stopped.wait(), 5)
        await asyncio.sleep(0)
        assert harness.state(1) is ServableState.END and not harness.reason(1)


async def test_a_version_that_fails_leaves_the_old_one_serving_and_says_why(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        harness.starter.failing["m/2"] = "sample 3 deviates"
        write_version(harness.root, 2)
        await harness.look()
        await harness.look()
        assert (
            harness.serving() == 1
            and harness.state(2) is ServableState.END
            and harness.reason(2) == "sample 3 deviates"
        )
        assert harness.starter.started == ["m/1", "m/2"], "it is not tried again while nothing changes"


async def test_a_version_that_failed_is_tried_again_when_its_directory_changes(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        harness.starter.failing["m/2"] = "spoiled"
        write_version(harness.root, 2)
        await harness.look()
        assert harness.serving() == 1, "a server started beside a spoiled version serves the one below"
        del harness.starter.failing["m/2"]
        write_version(harness.root, 2, created="later")
        await harness.look()
        assert harness.serving() == 2


async def test_a_removed_version_is_left_for_the_one_below_once_it_is_surely_gone(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        shutil.rmtree(write_version(harness.root, 2))
        path = write_version(harness.root, 2)
        await harness.look()
        shutil.rmtree(path)
        await harness.look()
        assert harness.serving() == 2, "it may be away for a moment only"
        await harness.look()
        assert harness.serving() == 1


@pytest.mark.parametrize("how", ["versions", "model", "repository"])
async def test_an_empty_or_failing_listing_unloads_nothing(tmp_path: Path, how: str) -> None:
    async with watching(tmp_path) as harness:
        path = write_version(harness.root, 1)
        write_version(harness.root, 1, name="other")
        await harness.look()
        shutil.rmtree({"versions": path, "model": path.parent, "repository": harness.root}[how])
        for _ in range(3):
            await harness.look()
        assert harness.serving() == 1 and harness.state(1) is ServableState.AVAILABLE


async def test_an_empty_repository_picks_up_what_arrives(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        await harness.look()
        assert harness.table.names() == []
        write_version(harness.root, 1)
        await harness.look()
        assert harness.serving() == 1


async def test_an_engine_that_ends_is_refused_and_the_version_below_serves(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        write_version(harness.root, 2)
        await harness.look()
        harness.starter.engines["m/2"].ended("five crashes in 60 s")
        assert harness.serving() is None and harness.reason(2) == "five crashes in 60 s"
        await harness.managers.settled()
        assert harness.serving() == 1 and harness.state(2) is ServableState.END


async def test_stop_first_frees_the_memory_of_the_old_version_before_the_new_one_is_loaded(tmp_path: Path) -> None:
    harness = Harness(tmp_path, stop_first=True)
    write_version(harness.root, 1)
    await harness.look()
    old = harness.starter.engines["m/1"]
    harness.starter.failing["m/2"] = "spoiled"
    harness.starter.on_start = lambda key: seen.append((key, old.stopped.is_set()))
    seen: list[tuple[str, bool]] = []
    write_version(harness.root, 2)
    await harness.look()
    assert seen == [("m/2", True), ("m/1", True)]
    assert harness.serving() == 1, "a new version that fails is followed by the old one"
    assert harness.starter.engines["m/1"] is not old
    await harness.managers.close(0)


async def test_stop_first_never_tells_callers_that_there_is_no_such_model(tmp_path: Path) -> None:
    harness = Harness(tmp_path, stop_first=True)
    write_version(harness.root, 1)
    await harness.look()
    output: set[str] = set()

    async def ask() -> None:
        while True:  # in every turn of the event loop
            try:
                output.add(str(harness.table.find(ModelRef("m"))))
            except ServingError as error:
                output.add(type(error).__name__)
            await asyncio.sleep(0)

    asking = asyncio.ensure_future(ask())
    harness.starter.failing["m/2"] = "spoiled"
    for version in (2, 3):
        write_version(harness.root, version)
        await harness.look()
    asking.cancel()
    assert output == {"m/1", "m/3", "Unavailable"}
    await harness.managers.close(0)


async def test_a_version_for_which_there_is_no_memory_waits_and_does_not_harm_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short: list[str] = []
    harness = Harness(tmp_path, memory_shortage=lambda name, path: next(iter(short), None))
    write_version(harness.root, 1)
    await harness.look()
    short.append("it takes about 4 GiB, and 1 GiB is free")
    write_version(harness.root, 2)
    for _ in range(3):
        await harness.look()
    assert harness.serving() == 1 and harness.state(2) is ServableState.END and harness.reason(2) == short[0]
    assert harness.starter.started == ["m/1"] and caplog.text.count("refused") == 1
    short.clear()
    await harness.look()
    assert harness.serving() == 2, "it is loaded as soon as there is room, without a change"
    await harness.managers.close(0)


async def test_a_version_that_cannot_be_started_now_is_tried_again_at_every_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        harness.starter.exhausted = True
        write_version(harness.root, 2)
        for _ in range(3):
            await harness.look()
        assert harness.starter.started == ["m/1", "m/2", "m/2", "m/2"]
        assert harness.serving() == 1 and harness.state(2) is ServableState.END
        assert harness.reason(2) == "no engine process can be started"
        assert caplog.text.count("m/2: refused") == 1 and harness.metric_counters.refusals == {("m", "NotNow"): 1}
        harness.starter.exhausted = False
        await harness.look()
        assert harness.serving() == 2, "nothing of it had to change"


async def test_closing_kills_the_candidate_and_stops_what_serves(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    write_version(harness.root, 1)
    await harness.look()
    harness.starter.gate.clear()
    write_version(harness.root, 2)
    await harness.watcher.look()
    await asyncio.sleep(0)
    await harness.managers.close(5)
    assert harness.starter.cancelled == ["m/2"]
    assert harness.starter.engines["m/1"].stopped.is_set()


async def test_the_folder_of_a_single_model_is_served_under_the_name_given(tmp_path: Path) -> None:
    write_version(tmp_path, 3, name="anything")
    harness = Harness(tmp_path, FolderSource(tmp_path / "anything", "digits", single=True))
    await harness.look()
    assert harness.serving("digits") == 3
    await harness.managers.close(0)


async def test_it_looks_after_every_interval(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            write_version(tmp_path, 1)
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await harness.watcher.run(0.5, wait)
    await harness.managers.settled()
    assert waits == [0.5] * 3 and harness.serving() == 1
    await harness.watcher.run(0)

    await harness.managers.close(0)
