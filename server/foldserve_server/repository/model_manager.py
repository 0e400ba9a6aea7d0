"""Reconciles one model with its version directories: decides what to load next, and what to refuse."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from functools import partial

from ..errors import LoadFailed, NotNow
from ..models.model_config import ModelConfig
from ..models.servable import Servable, ServableState
from .aspired_versions import Step, next_step
from .manager_context import ManagerContext, VerifiedVersion
from .scanner import VersionSnapshot
from .version_record import VersionRecords
from .version_swap import VersionSwap, log_fields

_SUSPENDED = "it was unloaded on request, and is out of service until somebody asks to load it"
_ENDED, _NO_MEMORY = "EngineEnded", "NoMemory"  # causes that no error has
log = logging.getLogger(__name__)


class ModelManager:
    """Loads one version at a time, puts it into service, and retires versions that should not serve any more.

    Attributes:
        config: The model's configuration.
        suspended: Whether an operator took the model out of service: then nothing is loaded, whatever a scan finds.
    """

    def __init__(self, config: ModelConfig, context: ManagerContext) -> None:
        self.config = config
        self.suspended = False
        self._context = context
        self._table = context.table
        self._records = VersionRecords()
        self._swap = VersionSwap(config.name, context, self._records, self._engine_ended, self._end_note)
        self._listing: tuple[VersionSnapshot, ...] = ()
        self._missing: frozenset[int] = frozenset()
        self._loading: asyncio.Task[None] | None = None
        self._closed = False
        self._table.set_policy(config.name, config.policy)
        self._table.relabel(config.name, config.labels)

    @property
    def loaded(self) -> Mapping[int, str]:
        """The digest of each version that serves."""
        return self._records.loaded

    @property
    def refused(self) -> Mapping[int, str]:
        """The fingerprint under which each refused version was refused."""
        return self._records.refused

    def see(self, listing: Iterable[VersionSnapshot]) -> None:
        """Takes the result of a scan, and acts on it.

        A directory may be away for a moment while it is exchanged: a version that serves counts as there until it is
        missing twice in a row.
        """
        now = tuple(listing)
        if not now and self._listing:
            log.warning("%s: no version is there any more; what serves keeps serving", self.config.name)
        missing = frozenset(self.loaded.keys() - {snapshot.version for snapshot in now})
        spared = missing - self._missing
        self._missing = missing
        self._listing = now + tuple(snapshot for snapshot in self._listing if snapshot.version in spared)
        self._records.new_scan()
        for snapshot in now:
            if self._records[snapshot.version].loaded == snapshot.digest:
                self._forgive(snapshot.version)
        self._step()

    def again(self, listing: Iterable[VersionSnapshot]) -> None:
        """Puts the model into service with these versions; refused ones are tried once more."""
        self.suspended = False
        self._records.forgive()
        self.see(listing)

    def suspend(self) -> None:
        """Takes the model out of service, until `again` or `adopt`."""
        self.suspended = True
        self._abandon(self._context.grace_s)

    async def settled(self) -> None:
        """Returns when no version is being loaded."""
        while self._loading is not None:
            await asyncio.wait({self._loading})

    def adopt(
        self, config: ModelConfig, listing: Iterable[VersionSnapshot], verified: Iterable[VerifiedVersion]
    ) -> None:
        """Replaces the configuration and serves the versions that were loaded for it, all at once."""
        if self._loading is not None:
            self._loading.cancel()
        self.config = config
        self.suspended = False
        self._listing, self._missing = tuple(listing), frozenset()
        for version in verified:
            self._swap.publish(Servable(config.name, version.snapshot.version), version.snapshot, version.engine)
        self._table.set_policy(config.name, config.policy)
        self._table.relabel(config.name, config.labels)
        self._step()

    async def close(self, grace_s: float) -> None:
        """As `retire`; returns when all of it is done."""
        self.retire(grace_s)
        await self.gone()

    def retire(self, grace_s: float) -> None:
        """Kills the candidate, and ends every engine once what it accepted is answered, or after the grace."""
        self._closed = True
        self._table.relabel(self.config.name, {})
        self._abandon(grace_s)

    async def gone(self) -> None:
        """Returns when no process is left."""
        await self.settled()
        await self._swap.stopped()

    def _abandon(self, grace_s: float) -> None:
        if self._loading is not None:
            self._loading.cancel()
        for version in list(self.loaded):
            self._swap.leave(version, grace_s)

    def _step(self) -> None:
        """Takes the next step towards the versions that should serve, unless one is under way."""
        if self._loading is not None or self._closed or self.suspended:
            return
        step = next_step(self._listing, self.config.policy, self.loaded, self._records.untried)
        if step.load is None:
            # everything that should serve does: versions that it replaces are retired now, never before
            for version in step.leave:
                self._swap.leave(version, self._context.grace_s)
        elif self._has_memory(step):
            # the version is listed in the turn in which others make way: callers never see that there is nothing
            first, servable = self._make_way(step), Servable(self.config.name, step.load.version)
            self._table.begin(servable)
            self._loading = asyncio.get_running_loop().create_task(self._load(servable, step.load, first))
            self._loading.add_done_callback(partial(self._step_again, servable))

    def _step_again(self, servable: Servable, done: asyncio.Task[None]) -> None:
        if servable.state is ServableState.LOADING:  # it was cancelled, perhaps before it had begun
            self._table.end(servable, "its loading was stopped")
        if self._loading is done:
            self._loading = None
            self._step()

    def _has_memory(self, step: Step) -> bool:
        """Tests whether the version fits beside what serves; asked again at every scan, a shortage is reported once."""
        if step.load is None or (self._context.stop_first and (step.leave or step.load.version in self.loaded)):
            return True
        reason = self._context.memory_shortage(self.config.name, step.load.path)
        if reason is not None and self._records[step.load.version].reported != step.load.fingerprint:
            servable = Servable(self.config.name, step.load.version)
            self._table.begin(servable)
            self._end_for_now(servable, step.load, reason, _NO_MEMORY, "it is tried again when there is")
        return reason is None

    def _end_for_now(self, servable: Servable, snapshot: VersionSnapshot, reason: str, cause: str, again: str) -> None:
        """Ends a version that is not to blame; that is reported once until its directory changes."""
        record = self._records[snapshot.version]
        if record.reported == snapshot.fingerprint:
            self._table.end(servable, reason)
        else:
            record.reported = snapshot.fingerprint
            self._report_refusal(servable, reason, cause, again)

    def _make_way(self, step: Step) -> set["asyncio.Task[None]"]:
        """Stops what the version replaces, where only one of them fits; gives the tasks to be waited for."""
        if not self._context.stop_first or step.load is None:
            return set()
        leaving = step.leave | (self.loaded.keys() & {step.load.version})
        return set().union(*(self._swap.leave(version, self._context.grace_s) for version in leaving))

    async def _load(self, servable: Servable, snapshot: VersionSnapshot, first: set["asyncio.Task[None]"]) -> None:
        is_reported = self._records[snapshot.version].reported == snapshot.fingerprint
        level = logging.DEBUG if is_reported else logging.INFO
        log.log(level, "%s: loading %s", servable, snapshot.path, extra=log_fields(servable))
        try:
            if first:
                await asyncio.wait(first)
            engine = await self._context.start(servable.name, snapshot.path)
        except NotNow as error:
            self._put_off(servable, snapshot, str(error), error.cause)
        except LoadFailed as error:
            self._not_loaded(servable, snapshot, " ".join(str(error).split()), error.cause)
        except Exception as error:
            log.exception("%s: starting its engine failed", servable)
            reason = f"its engine could not be started: {error}"
            self._not_loaded(servable, snapshot, reason, type(error).__name__)
        else:
            self._swap.publish(servable, snapshot, engine)

    def _put_off(self, servable: Servable, snapshot: VersionSnapshot, reason: str, cause: str) -> None:
        """Has a version tried again at the next scan; that is reported once."""
        self._records[snapshot.version].deferred = snapshot.fingerprint
        self._end_for_now(servable, snapshot, reason, cause, "it is tried again at every look")
        self._loading = None
        self._step()

    def _not_loaded(self, servable: Servable, snapshot: VersionSnapshot, reason: str, cause: str) -> None:
        self._context.metric_counters.not_loaded(servable.name, str(snapshot.path))
        self._refuse(servable, snapshot, reason, cause)
        self._loading = None
        self._step()  # at once: what is loaded in its place is on its way before any caller asks for it

    def _forgive(self, version: int) -> None:
        """Forgets the refused replacement of a version that serves, whose own directory is back."""
        record = self._records[version]
        was_refused = (record.refused, record.reported) != (None, None)
        record.refused = record.reported = None
        servable = self._table.available(self.config.name, version)
        if was_refused and servable is not None:
            self._table.note(servable, servable.engine.info.caveat)

    def _refuse(self, servable: Servable, snapshot: VersionSnapshot, reason: str, cause: str) -> None:
        self._records[snapshot.version].refused = snapshot.fingerprint
        self._report_refusal(servable, reason, cause, "it is tried again when its directory changes")

    def _report_refusal(self, servable: Servable, reason: str, cause: str, again: str) -> None:
        """Ends a version with a failure, in the table, the metrics and the log."""
        self._table.end(servable, reason, cause)
        self._context.metric_counters.refused(servable.name, cause)
        replaced = self._table.available(servable.name, servable.version)
        if replaced is not None:
            self._table.note(replaced, f"its replacement was refused: {reason}")
        serving = self._table.serving(servable.name)
        keeps = f"{serving} keeps serving" if serving else "nothing of this model serves"
        log.error("%s: refused: %s; %s; %s", servable, reason, keeps, again, extra=log_fields(servable))

    def _engine_ended(self, servable: Servable, snapshot: VersionSnapshot, reason: str) -> None:
        self._refuse(servable, snapshot, reason, _ENDED)
        self._step()

    def _end_note(self) -> str:
        return _SUSPENDED if self.suspended else ""
