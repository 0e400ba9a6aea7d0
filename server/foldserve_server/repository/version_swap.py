"""Swap of a model's versions: puts verified engines into service, then drains and stops those that they replace."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine

from ..models.model_engine import ModelEngine
from ..models.servable import Servable
from .manager_context import ManagerContext
from .scanner import VersionSnapshot
from .version_record import VersionRecords

log = logging.getLogger(__name__)


class VersionSwap:
    """Puts versions of a model into service and takes them out of it.

    It owns the model's engines: nothing else stops one that serves.
    """

    def __init__(
        self,
        name: str,
        context: ManagerContext,
        records: VersionRecords,
        on_engine_end: Callable[[Servable, VersionSnapshot, str], None],
        note: Callable[[], str],
    ) -> None:
        """Nothing serves yet.

        Args:
            name: The model's.
            context: The table, the metrics and the grace.
            records: The records of the model's versions: this alone changes which of them are loaded.
            on_engine_end: Called with the reason after the engine of a version that serves ended by itself.
            note: The reason that is shown for a version that was taken out of service.
        """
        self._name = name
        self._context = context
        self._table = context.table
        self._records = records
        self._on_engine_end = on_engine_end
        self._note = note
        self._retiring: set[asyncio.Task[None]] = set()

    def publish(self, servable: Servable, snapshot: VersionSnapshot, engine: ModelEngine) -> None:
        """Puts a loaded version into service, and retires the one of its number that it replaces."""
        replaced = self._table.publish(servable, engine)
        record, info = self._records[servable.version], engine.info
        record.loaded, record.refused, record.reported = info.digest, None, None
        if info.digest != snapshot.digest:  # it was changed in between: the next scan finds that
            record.deferred = snapshot.fingerprint
        self._context.metric_counters.loaded(servable.name, str(snapshot.path), info.seconds, info.warm_seconds)
        log.info("%s: serving (%s; %s)", servable, info.summary, info.details, extra=log_fields(servable))
        engine.watch(self._table.changes.ring, lambda reason: self._ended(servable, snapshot, engine, reason))
        if replaced is not None:
            self._retire(replaced, self._context.grace_s)

    def leave(self, version: int, grace_s: float) -> set["asyncio.Task[None]"]:
        """Takes a version out of service; its engine ends once what it accepted is answered, or after the grace.

        Returns:
            The task that drains and stops the engine; empty where the version did not serve.
        """
        self._records[version].loaded = None
        servable = self._table.available(self._name, version)
        return {self._retire(servable, grace_s)} if servable is not None else set()

    async def stopped(self) -> None:
        """Returns when every engine that left service has ended."""
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _ended(self, servable: Servable, snapshot: VersionSnapshot, engine: ModelEngine, reason: str) -> None:
        if self._table.available(servable.name, servable.version) is servable:
            self._records[servable.version].loaded = None
            self._spawn(_stop(servable, engine, 0))
            self._on_engine_end(servable, snapshot, reason)

    def _retire(self, servable: Servable, grace_s: float) -> "asyncio.Task[None]":
        engine = servable.engine
        self._table.unload(servable)
        return self._spawn(self._drain(servable, engine, grace_s))

    async def _drain(self, servable: Servable, engine: ModelEngine, grace_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(servable.drained(), grace_s)
        await _stop(servable, engine, grace_s)
        self._table.end(servable, note=self._note())
        log.info("%s: unloaded", servable, extra=log_fields(servable))

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task


def log_fields(servable: Servable) -> dict[str, str | int]:
    """Fields of a structured log line about a version."""
    fields: dict[str, str | int] = {"model": servable.name, "version": servable.version}
    return fields | ({"cause": servable.cause} if servable.cause else {})


async def _stop(servable: Servable, engine: ModelEngine, grace_s: float) -> None:
    try:
        await engine.stop(grace_s)
    except Exception:
        log.exception("%s: stopping its engine failed", servable)
