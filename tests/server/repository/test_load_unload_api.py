"""Models that are loaded and unloaded because somebody asks for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from foldserve_contract.bundle import MANIFEST
from foldserve_server.errors import InvalidRequest, NotInRepository, ServableNotFound
from foldserve_server.models.model_config import All, Latest, ModelConfig, Policy, Specific
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import ServableState
from foldserve_server.repository.config_reload import Reloader
from foldserve_server.repository.load_unload_api import LoadUnloadApi
from foldserve_server.repository.manager_context import ManagerContext
from foldserve_server.repository.managers import ModelManagers
from foldserve_server.repository.source import FolderSource, ListedSource
from foldserve_server.repository.watcher import Watcher
from foldserve_server.stats.metric_counters import MetricCounters
from tests.server.fakes import Starter, write_version


class Harness:
    """A repository, what watches it, and what is asked of it."""

    def __init__(self, root: Path, policy: Policy | None = None) -> None:
        self.root = root
        self.table = RoutingTable()
        self.starter = Starter()
        source = FolderSource(root) if policy is None else ListedSource((ModelConfig("m", root / "m", policy),), "test")
        self.managers = ModelManagers(ManagerContext(self.table, self.starter, MetricCounters(), 5.0))
        self.watcher = Watcher(source, self.managers)
        self.explicit = LoadUnloadApi(self.watcher, self.managers)

    async def look(self) -> None:
        await self.watcher.look()
        await self.managers.settled()

    def serving(self, name: str = "m") -> list[int]:
        return [item.version for item in self.table.status(ModelRef(name)) if item.state is ServableState.AVAILABLE]

    def reason(self, version: int) -> str:
        return self.table.status(ModelRef("m", version))[0].reason

    async def gone(self, version: int) -> None:
        while self.table.status(ModelRef("m", version))[0].state is not ServableState.END:
            await asyncio.sleep(0)


@asynccontextmanager
async def watching(root: Path, policy: Policy | None = None) -> AsyncIterator[Harness]:
    harness = Harness(root, policy)
    try:
        yield harness
    finally:
        await harness.managers.close(0)


async def test_what_was_refused_is_tried_again_on_request(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        harness.starter.failing["m/1"] = "no memory for it"
        await harness.look()
        await harness.look()
        assert harness.starter.started == ["m/1"], "nobody asked"
        with pytest.raises(InvalidRequest) as caught:
            await harness.explicit.load("m")
        assert str(caught.value) == "load failed for model 'm': version 1 is at UNAVAILABLE state: no memory for it;"
        harness.starter.failing.clear()
        await harness.explicit.load("m")
        assert harness.serving() == [1] and harness.starter.started == ["m/1"] * 3


async def test_a_failure_is_told_although_an_older_version_serves(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        write_version(harness.root, 2)
        harness.starter.failing["m/2"] = "it deviates"
        with pytest.raises(InvalidRequest, match="version 2 is at UNAVAILABLE state: it deviates;"):
            await harness.explicit.load("m")
        assert harness.serving() == [1]


async def test_every_version_that_the_policy_wants_is_waited_for(tmp_path: Path) -> None:
    async with watching(tmp_path, All()) as harness:
        for version in (1, 2, 3):
            write_version(harness.root, version)
        harness.starter.failing["m/2"] = "it deviates"
        with pytest.raises(InvalidRequest, match="version 2"):
            await harness.explicit.load("m")
        assert harness.serving() == [3, 1]


async def test_a_version_that_is_named_and_not_there_is_a_failure(tmp_path: Path) -> None:
    async with watching(tmp_path, Specific(frozenset([1, 7]))) as harness:
        write_version(harness.root, 1)
        with pytest.raises(InvalidRequest) as caught:
            await harness.explicit.load("m")
        assert str(caught.value).endswith("version 7 is at UNAVAILABLE state: it is not there;")
        assert harness.serving() == [1]
        write_version(harness.root, 7)
        await harness.explicit.load("m")
        assert harness.serving() == [7, 1]


async def test_what_serves_is_not_loaded_again(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.explicit.load("m")
        await harness.explicit.load("m")
        assert harness.starter.started == ["m/1"] and harness.serving() == [1]


async def test_what_is_not_configured_or_holds_no_version_is_not_loaded(tmp_path: Path) -> None:
    async with watching(tmp_path, Latest()) as harness:
        write_version(harness.root, 1, name="other")
        (harness.root / "m" / "1").mkdir(parents=True)
        for name in ("other", "../m", ""):
            with pytest.raises(NotInRepository) as caught:
                await harness.explicit.load(name)
            assert str(caught.value) == f"failed to load '{name}', failed to poll from model repository"
        with pytest.raises(NotInRepository, match="failed to load 'm', no version is available"):
            await harness.explicit.load("m")
        for name in ("other", "nobody"):
            with pytest.raises(ServableNotFound, match=f"Request for unknown model: '{name}' is not found"):
                await harness.explicit.unload(name)
        assert not harness.starter.started


async def test_what_was_unloaded_stays_so_whatever_the_watcher_sees(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        await harness.explicit.unload("m")
        assert harness.serving() == []
        await harness.gone(1)
        write_version(harness.root, 2)
        await harness.look()
        await harness.look()
        assert harness.serving() == [] and harness.starter.started == ["m/1"]
        assert "unloaded on request" in harness.reason(1) and harness.starter.engines["m/1"].stopped.is_set()
        await harness.explicit.load("m")
        assert harness.serving() == [2] and harness.starter.started == ["m/1", "m/2"]


async def test_unloading_stops_what_is_being_loaded(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        harness.starter.gate.clear()
        loading = asyncio.ensure_future(harness.explicit.load("m"))
        while not harness.starter.started:
            await asyncio.sleep(0)
        await harness.explicit.unload("m")
        with pytest.raises(InvalidRequest, match="its loading was stopped"):
            await loading
        assert harness.starter.cancelled == ["m/1"]
        harness.starter.gate.set()
        await harness.look()
        assert harness.serving() == []


async def test_what_is_stopped_before_it_has_begun_is_over(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.watcher.look()
        assert harness.table.status(ModelRef("m"))[0].state is ServableState.LOADING and not harness.starter.started
        await harness.explicit.unload("m")
        await harness.gone(1)
        assert harness.reason(1) == "its loading was stopped" and not harness.starter.started


async def test_a_set_of_models_that_names_it_brings_it_back(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        await harness.explicit.unload("m")
        await harness.gone(1)
        await Reloader(harness.watcher, harness.managers, 30.0).reload(
            [ModelConfig("m", harness.root / "m", labels={"stable": 1})], "test"
        )
        assert harness.serving() == [1]


async def test_a_directory_is_tried_as_it_stands(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        path = write_version(harness.root, 1)
        (path / MANIFEST).write_text("half of a manifest")
        await harness.look()
        assert not harness.starter.started, "somebody may be copying it"
        with pytest.raises(InvalidRequest, match="version 1 is at UNAVAILABLE state"):
            harness.starter.failing["m/1"] = "no manifest"
            await harness.explicit.load("m")
        assert harness.starter.started == ["m/1"]
