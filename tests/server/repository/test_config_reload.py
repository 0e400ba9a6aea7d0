"""Another set of models: all of it, or nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from foldserve_server.context.rights import Rights
from foldserve_server.errors import Forbidden, InvalidRequest, NotPossible, ReloadFailed, ServableNotFound
from foldserve_server.models.admin import require_inside
from foldserve_server.models.model_config import All, Latest, ModelConfig, Policy, Specific
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import ServableState
from foldserve_server.repository.config_reload import Reloader
from foldserve_server.repository.manager_context import ManagerContext
from foldserve_server.repository.managers import ModelManagers
from foldserve_server.repository.source import FolderSource
from foldserve_server.repository.watcher import Watcher
from foldserve_server.stats.metric_counters import MetricCounters
from tests.server.fakes import Starter, write_version


class Harness:
    """A served repository, and reloads of it."""

    def __init__(self, root: Path, patience_s: float = 30.0) -> None:
        self.root = root
        self.table = RoutingTable()
        self.starter = Starter()
        self.managers = ModelManagers(ManagerContext(self.table, self.starter, MetricCounters(), 5.0))
        self.watcher = Watcher(FolderSource(root), self.managers)
        self.reloader = Reloader(self.watcher, self.managers, patience_s)

    def model(self, name: str, policy: Policy | None = None, labels: Mapping[str, int] | None = None) -> ModelConfig:
        return ModelConfig(name, self.root / name, policy or Latest(), labels or {})

    async def look(self) -> None:
        await self.watcher.look()
        await self.managers.settled()

    async def reload(self, *models: ModelConfig) -> None:
        await self.reloader.reload(models, "test")
        await self.managers.settled()

    def available(self) -> dict[str, list[int]]:
        results = {
            name: [item.version for item in self.table.status(ModelRef(name)) if item.state is ServableState.AVAILABLE]
            for name in self.table.names()
        }
        return {name: versions for name, versions in results.items() if versions}

    def labelled(self, name: str, label: str) -> int:
        return self.table.find(ModelRef(name, label=label)).version


@asynccontextmanager
async def serving_two(root: Path) -> AsyncIterator[Harness]:
    harness = Harness(root)
    for name, version in (("m", 1), ("m", 2), ("m", 3), ("n", 1), ("o", 1)):
        write_version(root, version, name=name)
    await harness.reload(harness.model("m"), harness.model("n"))
    assert harness.available() == {"m": [3], "n": [1]}
    try:
        yield harness
    finally:
        await harness.managers.close(0)
        await harness.reloader.close(5)


async def test_the_new_set_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        await harness.reload(harness.model("m", Latest(2)), harness.model("o"))
        assert harness.available() == {"m": [3, 2], "o": [1]}
        with pytest.raises(ServableNotFound):
            harness.table.find(ModelRef("n"))
        write_version(harness.root, 4, name="o")
        write_version(harness.root, 1, name="p")
        await harness.look()
        assert harness.available() == {"m": [3, 2], "o": [4]}, "the new set is what is watched"


async def test_nothing_is_loaded_again_that_serves(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.started.clear()
        await harness.reload(harness.model("m", All()), harness.model("n"))
        assert sorted(harness.starter.started) == ["m/1", "m/2"]


@pytest.mark.parametrize("broken", ["m/2", "o/1"])
async def test_one_version_that_fails_leaves_everything_as_it_was(tmp_path: Path, broken: str) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.failing[broken] = "it is spoiled"
        with pytest.raises(ReloadFailed) as caught:
            await harness.reload(harness.model("m", Latest(2), {"canary": 3}), harness.model("o"))
        name, _, version = broken.partition("/")
        assert f"{{name: {name} version: {version} due to error: it is spoiled}}" in str(caught.value)
        assert harness.available() == {"m": [3], "n": [1]}
        assert "o" not in harness.table.names(), "there is no trace of what was given up"
        with pytest.raises(InvalidRequest):
            harness.labelled("m", "canary")
        other = harness.starter.engines.get("o/1" if broken == "m/2" else "m/2")
        assert other is None or other.stopped.is_set()


async def test_a_reload_takes_a_right_to_every_model_that_it_changes_or_ends(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        of_m = Rights("deployment", frozenset({"m"}), admin=True)
        m, n = harness.model("m", Latest(2)), harness.model("n")
        for models, words in (
            ((m, harness.model("n", All())), "no right to change model 'n'"),
            ((m, harness.model("n", labels={"stable": 1})), "no right to change model 'n'"),
            ((m, n, harness.model("o")), "no right to change model 'o'"),
            ((m,), "a model that would not be served any more"),
        ):
            with pytest.raises(Forbidden, match=words) as caught:
                await harness.reloader.reload(models, "test", of_m)
            assert len(models) > 1 or "'n'" not in str(caught.value), "a name is not told to who has no right to it"
            assert harness.available() == {"m": [3], "n": [1]}
        await harness.reloader.reload((m, n), "test", of_m)
        await harness.managers.settled()
        assert harness.available() == {"m": [3, 2], "n": [1]}


async def test_until_all_of_it_is_ready_nothing_changes(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.gate.clear()
        reload = asyncio.ensure_future(harness.reload(harness.model("m", Specific(frozenset({1}))), harness.model("o")))
        while len(harness.starter.started) < 4:
            await asyncio.sleep(0)
        await harness.watcher.look()
        assert harness.available() == {"m": [3], "n": [1]}
        harness.starter.gate.set()
        await reload
        assert harness.available() == {"m": [1], "o": [1]}


async def test_a_caller_who_leaves_takes_the_reload_back(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.gate.clear()
        reload = asyncio.ensure_future(harness.reload(harness.model("o")))
        while "o/1" not in harness.starter.started:
            await asyncio.sleep(0)
        reload.cancel()
        await asyncio.wait({reload})
        assert harness.starter.cancelled == ["o/1"] and harness.available() == {"m": [3], "n": [1]}
        harness.starter.gate.set()
        await harness.reload(harness.model("o"))
        assert harness.available() == {"o": [1]}


async def test_a_reload_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.gate.clear()
        harness.reloader = Reloader(harness.watcher, harness.managers, 0.0)
        with pytest.raises(ReloadFailed, match="o version: 1 due to error: it was not loaded in time"):
            await harness.reload(harness.model("o"))
        assert harness.available() == {"m": [3], "n": [1]} and harness.starter.cancelled == ["o/1"]


async def test_a_version_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        for model, words in (
            (harness.model("m", Specific(frozenset({3, 9}))), "version 9 is not there"),
            (harness.model("x"), "no version is there in "),
        ):
            with pytest.raises(ReloadFailed, match=words):
                await harness.reload(model)
        assert harness.available() == {"m": [3], "n": [1]}


async def test_no_model_at_all_changes_nothing(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        await harness.reload()
        assert harness.available() == {"m": [3], "n": [1]}


async def test_labels_move_at_once_and_are_served(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        await harness.reload(harness.model("m", All(), {"stable": 2, "canary": 3}))
        assert (harness.labelled("m", "stable"), harness.labelled("m", "canary")) == (2, 3)
        assert harness.table.policy("m") == All(), "callers are told which versions are to serve"
        await harness.reload(harness.model("m", All(), {"stable": 3}))
        assert harness.labelled("m", "stable") == 3
        with pytest.raises(InvalidRequest, match=r"^Unrecognized servable version label: canary$"):
            harness.labelled("m", "canary")


@pytest.mark.parametrize("policy", [Latest(), Specific(frozenset({1}))])
async def test_a_label_stands_only_for_a_version_that_will_serve(tmp_path: Path, policy: Policy) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.started.clear()
        with pytest.raises(NotPossible) as caught:
            await harness.reload(harness.model("m", policy, {"stable": 2}), harness.model("o"))
        assert str(caught.value) == (
            "Request to assign label to version 2 of model m, which is not currently available for inference"
        )
        assert not harness.starter.started, "that is said before anything is loaded"


async def test_a_model_moves_to_another_folder(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        old = harness.starter.engines["m/3"]
        write_version(harness.root / "elsewhere", 1, name="m")
        write_version(harness.root / "elsewhere", 3, name="m", created="later")
        await harness.reload(ModelConfig("m", harness.root / "elsewhere" / "m", All()))
        assert harness.available() == {"m": [3, 1]}
        await asyncio.wait_for(old.stopped.wait(), 5)
        assert harness.table.find(ModelRef("m", 3)).engine is harness.starter.engines["m/3"] is not old


async def test_a_refused_version_does_not_stand_in_the_way_of_other_models(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        harness.starter.failing["m/4"] = "it is spoiled"
        write_version(harness.root, 4)
        await harness.look()
        await harness.reload(harness.model("m"), harness.model("o"))
        assert harness.available() == {"m": [3], "o": [1]}


async def test_a_model_that_was_left_can_come_back(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as harness:
        await harness.reload(harness.model("n"))
        await harness.reload(harness.model("n"), harness.model("m", labels={"stable": 3}))
        assert harness.available() == {"m": [3], "n": [1]} and harness.labelled("m", "stable") == 3


def test_callers_are_kept_to_the_folders_that_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "out").symlink_to("/etc")
    require_inside([ModelConfig("m", tmp_path / "inside" / "m")], [tmp_path / "inside"])
    for path in ("inside/../other", "inside/out", "inside-not"):
        with pytest.raises(Forbidden, match="is not under --allowed-roots"):
            require_inside([ModelConfig("m", tmp_path / path)], [tmp_path / "inside"])
