"""Routing of a front end: a copy of the supervisor's table, with links to the engines."""

from collections.abc import Callable, Mapping, Sequence

from foldserve_engine.spec import EngineKind

from ...engines import EngineSettings
from ...engines.serving_engine import ServingEngine
from ...errors import Unavailable
from ...models.routing_table import RoutingTable
from ...models.servable import Servable, ServableState, ServableStatus
from ...predict.shadow import Mirror
from ...stats.counter_store import CounterStore
from ...stats.model_stats import ModelStats
from ..messages import EngineLinked, ModelEntry, ReleaseEngine, TableSnapshot, VersionEntry
from .remote_engine import RemoteEngine


class Routing:
    """Keeps this front end's table a copy of the supervisor's, with links to the engines.

    Attributes:
        table: The table.
    """

    def __init__(
        self,
        table: RoutingTable,
        front_end: int,
        settings: Mapping[EngineKind, EngineSettings],
        store: CounterStore,
        shadow_share: float,
    ) -> None:
        """The table is empty until the first snapshot.

        Args:
            table: The table.
            front_end: This front end's number.
            settings: How engines of each kind are run.
            store: Counters of versions and queues.
            shadow_share: The share of requests that is mirrored to shadow engines.
        """
        self.table = table
        self._front_end = front_end
        self._settings = settings
        self._store = store
        self._shadow_share = shadow_share
        self._engines: dict[int, RemoteEngine] = {}
        self._serving: dict[int, ServingEngine] = {}
        self._servables: dict[int, Servable] = {}
        self._answering: dict[int, set[Servable]] = {}

    def link(self, message: EngineLinked, descriptors: Sequence[int]) -> None:
        """Takes a process of an engine.

        Raises:
            OSError: There is no memory or descriptor left.
        """
        engine = self._engines.get(message.engine)
        if engine is None:
            settings = self._settings[message.profile.kind]
            engine = RemoteEngine(self._front_end, message.engine, message.profile, settings, self._store)
            self._engines[message.engine] = engine
        engine.attach(message, descriptors)

    def adopt(self, snapshot: TableSnapshot) -> None:
        """Makes the table a copy of the snapshot."""
        for entry in snapshot.engines:
            if entry.engine in self._engines:
                self._engines[entry.engine].mirror(entry)
        self.table.adopt(
            {model.name: self._versions(model) for model in snapshot.models},
            {model.name: model.labels for model in snapshot.models},
            {model.name for model in snapshot.models if model.served},
            {model.name: model.policy for model in snapshot.models},
            snapshot.notices,
        )
        listed = {entry.servable for model in snapshot.models for entry in model.versions}
        for serial in self._servables.keys() - listed:
            del self._servables[serial]

    async def release(self, message: ReleaseEngine, released: Callable[[int], None]) -> None:
        """Sends an engine no more requests, and calls `released` once no caller waits for it."""
        engine = self._engines.get(message.engine)
        if engine is not None:
            if message.reason is None:
                for servable in list(self._answering.get(message.engine, ())):
                    await servable.drained()
                engine.refuse()
                await engine.answered()
            refusal = Unavailable(message.reason or "the engine was unloaded", message.retry_after_ms)
            self._forget(message.engine, engine, refusal)
        released(message.engine)

    def _forget(self, number: int, engine: RemoteEngine, refusal: Unavailable) -> None:
        if self._engines.pop(number, None) is None:
            return
        engine.give_up(refusal)
        self._answering.pop(number, None)
        serving = self._serving.pop(number, None)
        if serving is not None and serving.mirror is not None:
            serving.mirror.leave()

    def _versions(self, model: ModelEntry) -> dict[int, tuple[Servable, ServableStatus]]:
        return {entry.version: self._version(model.name, entry) for entry in model.versions}

    def _version(self, name: str, entry: VersionEntry) -> tuple[Servable, ServableStatus]:
        """A version, which stays the same object as long as it is listed, and its status."""
        servable = self._servables.get(entry.servable)
        if servable is None:
            servable = Servable(name, entry.version, ModelStats(self._store, str(entry.servable)))
            self._servables[entry.servable] = servable
        engine = self._engine(entry)
        if entry.engine is not None and engine is not None:
            self._answering.setdefault(entry.engine, set()).add(servable)
        return servable, ServableStatus(ServableState(entry.state), entry.failed, entry.cause, entry.reason, engine)

    def _engine(self, entry: VersionEntry) -> ServingEngine | None:
        """The engine that answers for a version, the same object as long as the engine lives."""
        process = self._engines.get(entry.engine or 0)
        if entry.engine is None or process is None:
            return None
        if entry.engine not in self._serving:
            mirror = self._mirror(entry)
            self._serving[entry.engine] = ServingEngine(process, process.kind, process.path, mirror)
        return self._serving[entry.engine]

    def _mirror(self, entry: VersionEntry) -> Mirror | None:
        process = self._engines.get(entry.shadow or 0)
        if process is None:
            return None
        shadow = ServingEngine(process, process.kind, process.path)
        return Mirror(shadow, self._shadow_share, store=self._store, name=str(entry.servable))
