"""An engine that is asked by front ends in processes of their own."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.packets import Credits

from ...engines import EngineSettings
from ...engines.process.launch import ENGINE_COMMAND, LaunchedEngine, launch
from ...engines.process.supervisor import EngineSupervisor
from ...errors import NotNow, ServingError, Unavailable
from ...models.changes import Changes
from ...stats.counters import CounterStore
from .. import queue_gauge
from ..messages import EngineEntry, EngineLinked, EngineProfile, ReleaseEngine
from .front_end_process import FrontEndProcess


class FrontEndRegistry(Protocol):
    """The front ends, as an engine needs them.

    Attributes:
        changes: Rings when one has released an engine, or is gone.
    """

    changes: Changes

    def living(self) -> Iterable[FrontEndProcess]:
        """Those that are there."""

    async def settled(self) -> None:
        """Returns when all of them answer by the newest table."""


class FrontEndCallers:
    """Every front end: the `engines.process.supervisor.EngineCallers` of one engine.

    Attributes:
        closed: Done when the engine is over.
    """

    def __init__(self, number: int, settings: EngineSettings, residents: FrontEndRegistry) -> None:
        """Nobody asks the engine of that number, which is run so, yet."""
        self._number = number
        self._settings = settings
        self._residents = residents
        self._profile: EngineProfile | None = None
        self._launched: LaunchedEngine | None = None
        self._over = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def join(self, launched: LaunchedEngine) -> None:
        """See `engines.process.supervisor.EngineCallers`."""
        self._launched = launched
        report, ready = launched.report, launched.ready
        self._profile = EngineProfile(
            str(launched.path), self._settings.kind, report, ready.credit_rows, ready.credit_bytes
        )
        for resident in self._residents.living():
            self.link(resident)

    def link(self, resident: FrontEndProcess) -> None:
        """Gives a front end a link, if there is anything to be linked with.

        Raises:
            OSError: There is no descriptor left.
        """
        launched, known = self._launched, self._profile
        if launched is None or known is None or self._over:
            return
        told = EngineLinked(self._number, launched.epoch, known)
        sock = launched.link(resident.front)
        resident.engines.add(self._number)
        resident.post.send(told, [sock.detach(), os.dup(launched.page.memory.descriptor)])

    def lost(self, refusal: Unavailable) -> None:
        """See `engines.process.supervisor.EngineCallers`: front ends see the end of their links."""
        self._launched = None

    def refuse(self, refusal: Unavailable) -> None:
        """See `engines.process.supervisor.EngineCallers`: front ends are told when it is their turn, see `answered`."""
        self._over = True

    def fail(self, error: ServingError) -> None:
        """See `engines.process.supervisor.EngineCallers`."""
        self._over = True
        retry = error.retry_after_ms if isinstance(error, Unavailable) else None
        self._release(ReleaseEngine(self._number, str(error), retry))

    async def answered(self) -> None:
        """See `EngineCallers`: first every front end answers by a table without the engine."""
        await self._residents.settled()
        self._release(ReleaseEngine(self._number, None, None))
        while self._holders():
            change = self._residents.changes.ticket()
            if self._holders():
                await change.wait()

    def close(self) -> None:
        """See `engines.process.supervisor.EngineCallers`."""
        self._over = True
        if not self.closed.done():
            self.closed.set_result(None)

    def _release(self, release: ReleaseEngine) -> None:
        for resident in self._holders():
            resident.post.send(release)

    def _holders(self) -> list[FrontEndProcess]:
        return [resident for resident in self._residents.living() if self._number in resident.engines]


class SharedEngine(EngineSupervisor):
    """An engine in a process of its own, for front ends in theirs.

    Attributes:
        number: Its number; no other engine ever has it.
        callers: The front ends.
    """

    def __init__(
        self,
        number: int,
        path: Path,
        settings: EngineSettings,
        command: Sequence[str],
        launched: LaunchedEngine,
        residents: FrontEndRegistry,
        book: CounterStore,
    ) -> None:
        """Made by `start`."""
        self.number = number
        self.callers = FrontEndCallers(number, settings, residents)
        self._book = book
        super().__init__(path, settings, command, launched, self.callers)

    @classmethod
    async def start(
        cls,
        number: int,
        path: Path,
        settings: EngineSettings,
        residents: FrontEndRegistry,
        book: CounterStore,
        command: Sequence[str] = ENGINE_COMMAND,
    ) -> "SharedEngine":
        """As `EngineProcess.start`.

        Raises:
            LoadFailed: It must not serve; the message is the reason.
        """
        launched = await launch(path, settings, command)
        try:
            return cls(number, path, settings, command, launched, residents, book)
        except OSError as error:
            await asyncio.shield(launched.discard())
            raise NotNow(f"the front ends cannot be given a link to it: {error}") from error
        except BaseException:
            await asyncio.shield(launched.discard())
            raise

    @property
    def queue(self) -> queue_gauge.QueueGauge:
        """What waits or is computed, of all front ends."""
        ready = self._launched.ready
        return queue_gauge.read_queue(self._book, self.number, Credits(ready.credit_rows, ready.credit_bytes))

    @property
    def entry(self) -> EngineEntry:
        """How it stands."""
        return EngineEntry(self.number, self.available, self.restarts)

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """Raises Unavailable: only front ends ask."""
        raise Unavailable("this process answers no predictions; its front ends do")
