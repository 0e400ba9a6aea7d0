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
from foldserve_server.models.servable import ServableState
from foldserve_server.models.table import Table
from foldserve_server.repository.config_reload import Reloader
from foldserve_server.repository.manager_context import ManagerContext
from foldserve_server.repository.managers import ModelManagers
from foldserve_server.repository.source import FolderSource
from foldserve_server.repository.watcher import Watcher
from foldserve_server.stats.telemetry import Telemetry
from tests.server.fakes import Starter, write_version


class House:
    """A served repository, and reloads of it."""

    def __init__(self, root: Path, patience_s: float = 30.0) -> None:
        self.root = root
        self.table = Table()
        self.starter = Starter()
        self.managers = ModelManagers(ManagerContext(self.table, self.starter, Telemetry(), 5.0))
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
async def serving_two(root: Path) -> AsyncIterator[House]:
    house = House(root)
    for name, version in (("m", 1), ("m", 2), ("m", 3), ("n", 1), ("o", 1)):
        write_version(root, version, name=name)
    await house.reload(house.model("m"), house.model("n"))
    assert house.available() == {"m": [3], "n": [1]}
    try:
        yield house
    finally:
        await house.managers.close(0)
        await house.reloader.close(5)


async def test_the_new_set_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        await house.reload(house.model("m", Latest(2)), house.model("o"))
        assert house.available() == {"m": [3, 2], "o": [1]}
        with pytest.raises(ServableNotFound):
            house.table.find(ModelRef("n"))
        write_version(house.root, 4, name="o")
        write_version(house.root, 1, name="p")
        await house.look()
        assert house.available() == {"m": [3, 2], "o": [4]}, "the new set is what is watched"


async def test_nothing_is_loaded_again_that_serves(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.started.clear()
        await house.reload(house.model("m", All()), house.model("n"))
        assert sorted(house.starter.started) == ["m/1", "m/2"]


@pytest.mark.parametrize("broken", ["m/2", "o/1"])
async def test_one_version_that_fails_leaves_everything_as_it_was(tmp_path: Path, broken: str) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.failing[broken] = "it is spoiled"
        with pytest.raises(ReloadFailed) as caught:
            await house.reload(house.model("m", Latest(2), {"canary": 3}), house.model("o"))
        name, _, version = broken.partition("/")
        assert f"{{name: {name} version: {version} due to error: it is spoiled}}" in str(caught.value)
        assert house.available() == {"m": [3], "n": [1]}
        assert "o" not in house.table.names(), "there is no trace of what was given up"
        with pytest.raises(InvalidRequest):
            house.labelled("m", "canary")
        other = house.starter.engines.get("o/1" if broken == "m/2" else "m/2")
        assert other is None or other.stopped.is_set()


async def test_a_reload_takes_a_right_to_every_model_that_it_changes_or_ends(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        of_m = Rights("deployment", frozenset({"m"}), admin=True)
        m, n = house.model("m", Latest(2)), house.model("n")
        for models, words in (
            ((m, house.model("n", All())), "no right to change model 'n'"),
            ((m, house.model("n", labels={"stable": 1})), "no right to change model 'n'"),
            ((m, n, house.model("o")), "no right to change model 'o'"),
            ((m,), "a model that would not be served any more"),
        ):
            with pytest.raises(Forbidden, match=words) as caught:
                await house.reloader.reload(models, "test", of_m)
            assert len(models) > 1 or "'n'" not in str(caught.value), "a name is not told to who has no right to it"
            assert house.available() == {"m": [3], "n": [1]}
        await house.reloader.reload((m, n), "test", of_m)
        await house.managers.settled()
        assert house.available() == {"m": [3, 2], "n": [1]}


async def test_until_all_of_it_is_ready_nothing_changes(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.gate.clear()
        reload = asyncio.ensure_future(house.reload(house.model("m", Specific(frozenset({1}))), house.model("o")))
        while len(house.starter.started) < 4:
            await asyncio.sleep(0)
        await house.watcher.look()
        assert house.available() == {"m": [3], "n": [1]}
        house.starter.gate.set()
        await reload
        assert house.available() == {"m": [1], "o": [1]}


async def test_a_caller_who_leaves_takes_the_reload_back(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.gate.clear()
        reload = asyncio.ensure_future(house.reload(house.model("o")))
        while "o/1" not in house.starter.started:
            await asyncio.sleep(0)
        reload.cancel()
        await asyncio.wait({reload})
        assert house.starter.cancelled == ["o/1"] and house.available() == {"m": [3], "n": [1]}
        house.starter.gate.set()
        await house.reload(house.model("o"))
        assert house.available() == {"o": [1]}


async def test_a_reload_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.gate.clear()
        house.reloader = Reloader(house.watcher, house.managers, 0.0)
        with pytest.raises(ReloadFailed, match="o version: 1 due to error: it was not loaded in time"):
            await house.reload(house.model("o"))
        assert house.available() == {"m": [3], "n": [1]} and house.starter.cancelled == ["o/1"]


async def test_a_version_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        for model, words in (
            (house.model("m", Specific(frozenset({3, 9}))), "version 9 is not there"),
            (house.model("x"), "no version is there in "),
        ):
            with pytest.raises(ReloadFailed, match=words):
                await house.reload(model)
        assert house.available() == {"m": [3], "n": [1]}


async def test_no_model_at_all_changes_nothing(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        await house.reload()
        assert house.available() == {"m": [3], "n": [1]}


async def test_labels_move_at_once_and_are_served(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        await house.reload(house.model("m", All(), {"stable": 2, "canary": 3}))
        assert (house.labelled("m", "stable"), house.labelled("m", "canary")) == (2, 3)
        assert house.table.policy("m") == All(), "callers are told which versions are to serve"
        await house.reload(house.model("m", All(), {"stable": 3}))
        assert house.labelled("m", "stable") == 3
        with pytest.raises(InvalidRequest, match=r"^Unrecognized servable version label: canary$"):
            house.labelled("m", "canary")


@pytest.mark.parametrize("policy", [Latest(), Specific(frozenset({1}))])
async def test_a_label_stands_only_for_a_version_that_will_serve(tmp_path: Path, policy: Policy) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.started.clear()
        with pytest.raises(NotPossible) as caught:
            await house.reload(house.model("m", policy, {"stable": 2}), house.model("o"))
        assert str(caught.value) == (
            "Request to assign label to version 2 of model m, which is not currently available for inference"
        )
        assert not house.starter.started, "that is said before anything is loaded"


async def test_a_model_moves_to_another_folder(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        old = house.starter.engines["m/3"]
        write_version(house.root / "elsewhere", 1, name="m")
        write_version(house.root / "elsewhere", 3, name="m", created="later")
        await house.reload(ModelConfig("m", house.root / "elsewhere" / "m", All()))
        assert house.available() == {"m": [3, 1]}
        await asyncio.wait_for(old.stopped.wait(), 5)
        assert house.table.find(ModelRef("m", 3)).engine is house.starter.engines["m/3"] is not old


async def test_a_refused_version_does_not_stand_in_the_way_of_other_models(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        house.starter.failing["m/4"] = "it is spoiled"
        write_version(house.root, 4)
        await house.look()
        await house.reload(house.model("m"), house.model("o"))
        assert house.available() == {"m": [3], "o": [1]}


async def test_a_model_that_was_left_can_come_back(tmp_path: Path) -> None:
    async with serving_two(tmp_path) as house:
        await house.reload(house.model("n"))
        await house.reload(house.model("n"), house.model("m", labels={"stable": 3}))
        assert house.available() == {"m": [3], "n": [1]} and house.labelled("m", "stable") == 3


def test_callers_are_kept_to_the_folders_that_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "out").symlink_to("/etc")
    require_inside([ModelConfig("m", tmp_path / "inside" / "m")], [tmp_path / "inside"])
    for path in ("inside/../other", "inside/out", "inside-not"):
        with pytest.raises(Forbidden, match="is not under --allowed-roots"):
            require_inside([ModelConfig("m", tmp_path / path)], [tmp_path / "inside"])
