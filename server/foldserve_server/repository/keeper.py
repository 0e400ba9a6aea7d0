"""Keeps one model at the best version there is."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable

from ..core.engine import Engine, StartEngine
from ..core.errors import LoadFailed
from ..core.servable import Servable
from ..core.table import Table
from .decide import Loaded, candidate
from .sighting import Sighting

log = logging.getLogger(__name__)


class Keeper:
    """Loads one version at a time, puts it in the place of the one before, and lets that one finish.

    It owns the model's engines: nothing else starts or stops one.
    """

    def __init__(self, name: str, table: Table, start: StartEngine, grace_s: float) -> None:
        self._name = name
        self._table = table
        self._start = start
        self._grace_s = grace_s
        self._listing: tuple[Sighting, ...] = ()
        self._missed = False
        self._refused: dict[int, str] = {}
        self._loaded: Loaded | None = None
        self._loading: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    def see(self, listing: Iterable[Sighting]) -> None:
        """Takes note of the versions that are there, and acts on it."""
        now = tuple(listing)
        if not now and self._listing:
            log.warning("%s: no version is there any more; what serves keeps serving", self._name)
        missed = self._loaded is not None and self._loaded.version not in {sighting.version for sighting in now}
        confirmed = missed and self._missed
        self._listing, self._missed = now, missed
        if not missed or confirmed:  # a directory may be away for a moment while it is exchanged
            self._step()

    async def settled(self) -> None:
        """Returns when nothing is being loaded."""
        while self._loading is not None:
            await asyncio.wait({self._loading})

    async def close(self, grace_s: float) -> None:
        """Kills the candidate, and ends every engine once what it accepted is answered, or after the grace."""
        self._closed = True
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        serving = self._table.serving(self._name)
        if serving is not None:
            self._retire(serving, grace_s)
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _step(self) -> None:
        if self._loading is not None or self._closed:
            return
        sighting = candidate(self._listing, self._loaded, self._refused)
        if sighting is not None:
            self._loading = asyncio.get_running_loop().create_task(self._load(sighting))
            self._loading.add_done_callback(self._step_again)

    def _step_again(self, _: asyncio.Task[None]) -> None:
        self._loading = None
        self._step()

    async def _load(self, sighting: Sighting) -> None:
        servable = Servable(self._name, sighting.version)
        self._table.begin(servable)
        log.info("%s: loading %s", servable, sighting.path)
        try:
            engine = await self._start(sighting.path)
        except asyncio.CancelledError:
            self._table.end(servable, "the server was stopped while it was loading")
            raise
        except LoadFailed as error:
            self._refuse(servable, sighting, " ".join(str(error).split()))
        except Exception as error:
            log.exception("%s: starting its engine failed", servable)
            self._refuse(servable, sighting, f"its engine could not be started: {error}")
        else:
            self._swap(servable, sighting, engine)

    def _refuse(self, servable: Servable, sighting: Sighting, reason: str) -> None:
        self._refused[sighting.version] = sighting.fingerprint
        self._table.end(servable, reason)
        serving = self._table.serving(self._name)
        if serving is not None and serving.version == servable.version:
            serving.reason = f"its replacement was refused: {reason}"
        keeps = f"{serving} keeps serving" if serving else "nothing of this model serves"
        log.error("%s: refused: %s; %s; it is tried again when its directory changes", servable, reason, keeps)

    def _swap(self, servable: Servable, sighting: Sighting, engine: Engine) -> None:
        before = self._table.publish(servable, engine)
        self._loaded = Loaded(servable.version, engine.digest)
        self._missed = False
        self._refused.pop(servable.version, None)
        log.info("%s: serving (%s; %s)", servable, engine.summary, engine.details)
        engine.watch(self._table.changes.ring, lambda reason: self._ended(servable, sighting, engine, reason))
        if before is not None:
            self._retire(before, self._grace_s)

    def _ended(self, servable: Servable, sighting: Sighting, engine: Engine, reason: str) -> None:
        if self._table.serving(self._name) is servable:
            self._loaded = None
            self._refuse(servable, sighting, reason)
            self._spawn(_stop(servable, engine, 0))
            self._step()

    def _retire(self, servable: Servable, grace_s: float) -> None:
        engine = servable.engine
        self._table.unload(servable)
        self._spawn(self._drain(servable, engine, grace_s))

    async def _drain(self, servable: Servable, engine: Engine, grace_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(servable.drained(), grace_s)
        await _stop(servable, engine, grace_s)
        self._table.end(servable)
        log.info("%s: unloaded", servable)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _stop(servable: Servable, engine: Engine, grace_s: float) -> None:
    try:
        await engine.stop(grace_s)
    except Exception:
        log.exception("%s: stopping its engine failed", servable)
