"""A repository that is watched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import ServableState
from foldserve_server.repository.manager_context import ManagerContext
from foldserve_server.repository.managers import ModelManagers
from foldserve_server.repository.source import FolderSource, ModelSource
from foldserve_server.repository.watcher import Watcher
from foldserve_server.stats.metric_counters import MetricCounters
from tests.server.fakes import Starter


class Harness:
    """A repository, a watcher over it, and engines that are none."""

    def __init__(self, root: Path, source: ModelSource | None = None, **context: Any) -> None:
        self.root = root
        self.table = RoutingTable()
        self.starter = Starter()
        self.metric_counters = MetricCounters()
        self.managers = ModelManagers(ManagerContext(self.table, self.starter, self.metric_counters, 5.0, **context))
        self.watcher = Watcher(source or FolderSource(root), self.managers)

    async def look(self) -> None:
        await self.watcher.look()
        await self.managers.settled()

    def serving(self, name: str = "m") -> int | None:
        servable = self.table.serving(name)
        return None if servable is None else servable.version

    def state(self, version: int) -> ServableState:
        return self.table.status(ModelRef("m", version))[0].state

    def reason(self, version: int) -> str:
        return self.table.status(ModelRef("m", version))[0].reason


@asynccontextmanager
async def watching(root: Path, source: ModelSource | None = None, **context: Any) -> AsyncIterator[Harness]:
    harness = Harness(root, source, **context)
    try:
        yield harness
    finally:
        await harness.managers.close(0)
