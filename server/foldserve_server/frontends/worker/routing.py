"""The routing table of a front end: what the supervisor says, with links to the engines."""

import logging
from collections.abc import Callable, Mapping, Sequence

from foldserve_engine.protocol import EngineKind

from ...engines import EngineSettings
from ...engines.serving_engine import ServingEngine
from ...errors import Unavailable
from ...models.servable import Servable, ServableState, ServableStatus
from ...models.table import Table
from ...predict.shadow import Mirror
from ...stats.counters import CounterStore
from ...stats.model_stats import ModelStats
from .. import messages
from ..messages import EngineLinked, ModelEntry, ReleaseEngine, VersionEntry
from .remote_engine import RemoteEngine

log = logging.getLogger(__name__)


class Routing:
    """Keeps a table as it is told.

    Attributes:
        table: The table.
    """

    def __init__(
        self,
        table: Table,
        front: int,
        settings: Mapping[EngineKind, EngineSettings],
        book: CounterStore,
        shadow_share: float,
    ) -> None:
        """Nothing was told yet.

        Args:
            table: The table.
            front: This front end's number.
            settings: How engines of each kind are run.
            book: Where is counted.
            shadow_share: The share of requests that shadow engines are shown.
        """
        self.table = table
        self._front = front
        self._settings = settings
        self._book = book
        self._shadow_share = shadow_share
        self._engines: dict[int, RemoteEngine] = {}
        self._serving: dict[int, ServingEngine] = {}
        self._servables: dict[int, Servable] = {}
        self._answering: dict[int, set[Servable]] = {}

    def link(self, told: EngineLinked, descriptors: Sequence[int]) -> None:
        """Takes a process of an engine.

        Raises:
            OSError: There is no memory or descriptor left.
        """
        engine = self._engines.get(told.engine)
        if engine is None:
            settings = self._settings[told.profile.kind]
            engine = RemoteEngine(self._front, told.engine, told.profile, settings, self._book)
            self._engines[told.engine] = engine
        engine.attach(told, descriptors)

    def adopt(self, told: messages.TableSnapshot) -> None:
        """From now on this is the table."""
        for entry in told.engines:
            if entry.engine in self._engines:
                self._engines[entry.engine].told(entry)
        self.table.adopt(
            {model.name: self._versions(model) for model in told.models},
            {model.name: model.labels for model in told.models},
            {model.name for model in told.models if model.served},
            {model.name: model.wanted.policy for model in told.models},
        )
        known = {entry.servable for model in told.models for entry in model.versions}
        for serial in self._servables.keys() - known:
            del self._servables[serial]

    async def release(self, told: ReleaseEngine, released: Callable[[int], None]) -> None:
        """Asks an engine nothing more, and says so once nobody waits for it."""
        engine = self._engines.get(told.engine)
        if engine is not None:
            if told.reason is None:
                for servable in list(self._answering.get(told.engine, ())):
                    await servable.drained()
                engine.refuse()
                await engine.answered()
            self._forget(
                told.engine, engine, Unavailable(told.reason or "the engine was unloaded", told.retry_after_ms)
            )
        released(told.engine)

    def _forget(self, number: int, engine: RemoteEngine, refusal: Unavailable) -> None:
        if self._engines.pop(number, None) is None:
            return
        engine.give_up(refusal)
        self._answering.pop(number, None)
        serving = self._serving.pop(number, None)
        if serving is not None and serving.mirror is not None:
            serving.mirror.leave()

    def _versions(self, model: ModelEntry) -> dict[int, tuple[Servable, ServableStatus]]:
        return {entry.version: self._servable(model.name, entry) for entry in model.versions}

    def _servable(self, name: str, entry: VersionEntry) -> tuple[Servable, ServableStatus]:
        servable = self._servables.get(entry.servable)
        if servable is None:
            servable = Servable(name, entry.version, ModelStats(self._book, str(entry.servable)))
            self._servables[entry.servable] = servable
        engine = self._engine(entry)
        if entry.engine is not None and engine is not None:
            self._answering.setdefault(entry.engine, set()).add(servable)
        return servable, ServableStatus(ServableState(entry.state), entry.failed, entry.cause, entry.reason, engine)

    def _engine(self, entry: VersionEntry) -> ServingEngine | None:
        """What answers for a version, which stays the same as long as the engine does."""
        process = self._engines.get(entry.engine or 0)
        if entry.engine is None or process is None:
            return None
        if entry.engine not in self._serving:
            mirror = self._mirror(entry)
            self._serving[entry.engine] = ServingEngine(process, process.kind, process.path, mirror)
        return self._serving[entry.engine]

    def _mirror(self, entry: VersionEntry) -> Mirror | None:
        behind = self._engines.get(entry.shadow or 0)
        if behind is None:
            return None
        shadow = ServingEngine(behind, behind.kind, behind.path)
        return Mirror(shadow, self._shadow_share, book=self._book, name=str(entry.servable))
