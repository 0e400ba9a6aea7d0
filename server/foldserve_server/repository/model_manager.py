"""Keeps one model at the versions it should be at."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial

from ..errors import LoadFailed, NotNow
from ..models.engine import ModelEngine
from ..models.model_config import ModelConfig
from ..models.servable import Servable, ServableState
from .decide import Step, decide
from .reconciler_context import ReconcilerContext, VerifiedVersion
from .scanner import VersionSnapshot

_SUSPENDED = "it was unloaded on request, and is out of service until somebody asks to load it"
_ENDED, _NO_MEMORY = "EngineEnded", "NoMemory"  # causes that no error has
log = logging.getLogger(__name__)


class ModelManager:
    """Loads one version at a time, puts it into service, and lets those that are not wanted any more finish.

    It owns the model's engines: nothing else stops one that serves.

    Attributes:
        config: What is wanted.
        suspended: Whether an operator took the model out of service: then nothing is loaded, whatever comes.
    """

    def __init__(self, config: ModelConfig, means: ReconcilerContext) -> None:
        self.config = config
        self._means = means
        self._table = means.table
        self._listing: tuple[VersionSnapshot, ...] = ()
        self._missing: frozenset[int] = frozenset()
        self._refused: dict[int, str] = {}
        self._short: dict[int, str] = {}
        self._later: dict[int, str] = {}
        self._loaded: dict[int, str] = {}
        self._loading: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False
        self.suspended = False
        self._table.want(config.name, config.policy)
        self._table.relabel(config.name, config.labels)

    @property
    def loaded(self) -> Mapping[int, str]:
        """The digest of each version that serves."""
        return self._loaded

    @property
    def refused(self) -> Mapping[int, str]:
        """The fingerprint under which each failed version failed."""
        return self._refused

    def see(self, listing: Iterable[VersionSnapshot]) -> None:
        """Takes note of the versions that are there, and acts on it.

        A directory may be away for a moment while it is exchanged: what serves counts as there until it is missed
        twice in a row.
        """
        now = tuple(listing)
        if not now and self._listing:
            log.warning("%s: no version is there any more; what serves keeps serving", self.config.name)
        missing = frozenset(self._loaded.keys() - {sighting.version for sighting in now})
        spared = missing - self._missing
        self._missing = missing
        self._listing = now + tuple(sighting for sighting in self._listing if sighting.version in spared)
        self._later.clear()
        for sighting in now:
            if self._loaded.get(sighting.version) == sighting.digest:
                self._forgive(sighting.version)
        self._step()

    def again(self, listing: Iterable[VersionSnapshot]) -> None:
        """Takes the model into service, with these versions; those that were refused are tried once more."""
        self.suspended = False
        self._refused.clear()
        self._short.clear()
        self.see(listing)

    def suspend(self) -> None:
        """Takes the model out of service, until `again` or `adopt`."""
        self.suspended = True
        self._abandon(self._means.grace_s)

    async def settled(self) -> None:
        """Returns when nothing is being loaded."""
        while self._loading is not None:
            await asyncio.wait({self._loading})

    def adopt(self, config: ModelConfig, listing: Iterable[VersionSnapshot], held: Iterable[VerifiedVersion]) -> None:
        """From now on this is what is wanted, and what was loaded for it serves; all of it at once."""
        if self._loading is not None:
            self._loading.cancel()
        self.config = config
        self.suspended = False
        self._listing, self._missing = tuple(listing), frozenset()
        for one in held:
            self._swap(Servable(config.name, one.sighting.version), one.sighting, one.engine)
        self._table.want(config.name, config.policy)
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
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _abandon(self, grace_s: float) -> None:
        if self._loading is not None:
            self._loading.cancel()
        for version in list(self._loaded):
            self._leave(version, grace_s)

    def _step(self) -> None:
        if self._loading is not None or self._closed or self.suspended:
            return
        step = decide(self._listing, self.config.policy, self._loaded, self._refused | self._later)
        if step.load is None:
            for version in step.leave:
                self._leave(version, self._means.grace_s)
        elif self._has_room(step):
            first, servable = self._make_way(step), Servable(self.config.name, step.load.version)
            self._table.begin(servable)  # in the turn in which way is made: callers never see that there is nothing
            self._loading = asyncio.get_running_loop().create_task(self._load(servable, step.load, first))
            self._loading.add_done_callback(partial(self._step_again, servable))

    def _step_again(self, servable: Servable, done: asyncio.Task[None]) -> None:
        if servable.state is ServableState.LOADING:  # it was cancelled, perhaps before it had begun
            self._table.end(servable, "its loading was stopped")
        if self._loading is done:
            self._loading = None
            self._step()

    def _has_room(self, step: Step) -> bool:
        """Whether the version fits beside what serves. It is asked again at every look, and said once."""
        if step.load is None or (self._means.stop_first and (step.leave or step.load.version in self._loaded)):
            return True
        reason = self._means.room(self.config.name, step.load.path)
        if reason is not None and self._short.get(step.load.version) != step.load.fingerprint:
            servable = Servable(self.config.name, step.load.version)
            self._table.begin(servable)
            self._end_for_now(servable, step.load, reason, _NO_MEMORY, "it is tried again when there is")
        return reason is None

    def _end_for_now(self, servable: Servable, sighting: VersionSnapshot, reason: str, cause: str, again: str) -> None:
        """It is not its own fault. What is said of it is said once until it changes."""
        if self._short.get(sighting.version) == sighting.fingerprint:
            self._table.end(servable, reason)
        else:
            self._short[sighting.version] = sighting.fingerprint
            self._say_refused(servable, reason, cause, again)

    def _make_way(self, step: Step) -> set["asyncio.Task[None]"]:
        """Stops what the version replaces, where only one of them fits; gives what is to be waited for."""
        if not self._means.stop_first or step.load is None:
            return set()
        before = set(self._retiring)
        for version in step.leave | (self._loaded.keys() & {step.load.version}):
            self._leave(version, self._means.grace_s)
        return self._retiring - before

    async def _load(self, servable: Servable, sighting: VersionSnapshot, first: set["asyncio.Task[None]"]) -> None:
        level = logging.DEBUG if self._short.get(sighting.version) == sighting.fingerprint else logging.INFO
        log.log(level, "%s: loading %s", servable, sighting.path, extra=_about(servable))
        try:
            if first:
                await asyncio.wait(first)
            engine = await self._means.start(servable.name, sighting.path)
        except NotNow as error:
            self._put_off(servable, sighting, str(error), error.cause)
        except LoadFailed as error:
            self._not_loaded(servable, sighting, " ".join(str(error).split()), error.cause)
        except Exception as error:
            log.exception("%s: starting its engine failed", servable)
            reason = f"its engine could not be started: {error}"
            self._not_loaded(servable, sighting, reason, type(error).__name__)
        else:
            self._swap(servable, sighting, engine)

    def _put_off(self, servable: Servable, sighting: VersionSnapshot, reason: str, cause: str) -> None:
        """Has it tried again at the next look; that is said once."""
        self._later[sighting.version] = sighting.fingerprint
        self._end_for_now(servable, sighting, reason, cause, "it is tried again at every look")
        self._loading = None
        self._step()

    def _not_loaded(self, servable: Servable, sighting: VersionSnapshot, reason: str, cause: str) -> None:
        self._table.telemetry.not_loaded(servable.name, str(sighting.path))
        self._refuse(servable, sighting, reason, cause)
        self._loading = None
        self._step()  # at once: what is loaded in its place is on its way before anybody asks for it

    def _forgive(self, version: int) -> None:
        """What was refused in the place of a version that serves is gone, and its own directory is back."""
        was_refused = {self._refused.pop(version, None), self._short.pop(version, None)} != {None}
        servable = self._table.available(self.config.name, version)
        if was_refused and servable is not None:
            servable.reason = servable.engine.info.caveat

    def _refuse(self, servable: Servable, sighting: VersionSnapshot, reason: str, cause: str) -> None:
        self._refused[sighting.version] = sighting.fingerprint
        self._say_refused(servable, reason, cause, "it is tried again when its directory changes")

    def _say_refused(self, servable: Servable, reason: str, cause: str, again: str) -> None:
        self._table.end(servable, reason, cause)
        replaced = self._table.available(servable.name, servable.version)
        if replaced is not None:
            replaced.reason = f"its replacement was refused: {reason}"
        serving = self._table.serving(servable.name)
        keeps = f"{serving} keeps serving" if serving else "nothing of this model serves"
        log.error("%s: refused: %s; %s; %s", servable, reason, keeps, again, extra=_about(servable))

    def _swap(self, servable: Servable, sighting: VersionSnapshot, engine: ModelEngine) -> None:
        replaced = self._table.publish(servable, engine)
        servable.reason = engine.info.caveat
        self._loaded[servable.version] = engine.info.digest
        if engine.info.digest != sighting.digest:  # it was changed in between: the next look tells
            self._later[servable.version] = sighting.fingerprint
        self._refused.pop(servable.version, None)
        self._short.pop(servable.version, None)
        self._table.telemetry.loaded(servable.name, str(sighting.path), engine.info.seconds, engine.info.warm_seconds)
        log.info("%s: serving (%s; %s)", servable, engine.info.summary, engine.info.details, extra=_about(servable))
        engine.watch(self._table.changes.ring, lambda reason: self._ended(servable, sighting, engine, reason))
        if replaced is not None:
            self._retire(replaced, self._means.grace_s)

    def _ended(self, servable: Servable, sighting: VersionSnapshot, engine: ModelEngine, reason: str) -> None:
        if self._table.available(servable.name, servable.version) is servable:
            del self._loaded[servable.version]
            self._refuse(servable, sighting, reason, _ENDED)
            self._spawn(_stop(servable, engine, 0))
            self._step()

    def _leave(self, version: int, grace_s: float) -> None:
        del self._loaded[version]
        servable = self._table.available(self.config.name, version)
        if servable is not None:
            self._retire(servable, grace_s)

    def _retire(self, servable: Servable, grace_s: float) -> None:
        engine = servable.engine
        self._table.unload(servable)
        self._spawn(self._drain(servable, engine, grace_s))

    async def _drain(self, servable: Servable, engine: ModelEngine, grace_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(servable.drained(), grace_s)
        await _stop(servable, engine, grace_s)
        self._table.end(servable)
        servable.reason = _SUSPENDED if self.suspended else ""
        log.info("%s: unloaded", servable, extra=_about(servable))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _about(servable: Servable) -> dict[str, str | int]:
    """What a structured log says of a line about a version."""
    about: dict[str, str | int] = {"model": servable.name, "version": servable.version}
    return about | ({"cause": servable.cause} if servable.cause else {})


async def _stop(servable: Servable, engine: ModelEngine, grace_s: float) -> None:
    try:
        await engine.stop(grace_s)
    except Exception:
        log.exception("%s: stopping its engine failed", servable)
