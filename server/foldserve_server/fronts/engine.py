"""An engine that is asked by front ends in processes of their own."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.messages import Credits

from ..core.book import Book
from ..core.changes import Changes
from ..core.errors import NotNow, ServingError, Unavailable
from ..engines import EngineSettings, LoadReport
from ..engines.launch import ENGINE_COMMAND, Launched, launch
from ..engines.life import EngineLife
from . import gauge
from .documents import EngineEntry, Linked, Profile, Release
from .seat import Resident


class Residents(Protocol):
    """The front ends, as an engine needs them.

    Attributes:
        changes: Rings when one has released an engine, or is gone.
    """

    changes: Changes

    def living(self) -> Iterable[Resident]:
        """Those that are there."""

    async def settled(self) -> None:
        """Returns when all of them answer by the newest table."""


class Everyone:
    """Every front end: the `engines.life.Callers` of one engine.

    Attributes:
        closed: Done when the engine is over.
    """

    def __init__(self, number: int, settings: EngineSettings, residents: Residents) -> None:
        """Nobody asks the engine of that number, which is run so, yet."""
        self._number = number
        self._settings = settings
        self._residents = residents
        self._profile: Profile | None = None
        self._launched: Launched | None = None
        self._over = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def join(self, launched: Launched) -> None:
        """See `engines.life.Callers`."""
        self._launched = launched
        report, ready = LoadReport.of(launched, self._settings), launched.ready
        self._profile = Profile(str(launched.path), self._settings.kind, report, ready.credit_rows, ready.credit_bytes)
        for resident in self._residents.living():
            self.link(resident)

    def link(self, resident: Resident) -> None:
        """Gives a front end a link, if there is anything to be linked with.

        Raises:
            OSError: There is no descriptor left.
        """
        launched, known = self._launched, self._profile
        if launched is None or known is None or self._over:
            return
        told = Linked(self._number, launched.epoch, known)
        sock = launched.link(resident.front)
        resident.engines.add(self._number)
        resident.post.send(told, [sock.detach(), os.dup(launched.page.memory.descriptor)])

    def lost(self, refusal: Unavailable) -> None:
        """See `engines.life.Callers`: front ends see the end of their links."""
        self._launched = None

    def refuse(self, refusal: Unavailable) -> None:
        """See `engines.life.Callers`: front ends are told when it is their turn, see `answered`."""
        self._over = True

    def fail(self, error: ServingError) -> None:
        """See `engines.life.Callers`."""
        self._over = True
        retry = error.retry_after_ms if isinstance(error, Unavailable) else None
        self._release(Release(self._number, str(error), retry))

    async def answered(self) -> None:
        """See `engines.life.Callers`: first every front end answers by a table without the engine."""
        await self._residents.settled()
        self._release(Release(self._number, None, None))
        while self._holders():
            change = self._residents.changes.ticket()
            if self._holders():
                await change.wait()

    def close(self) -> None:
        """See `engines.life.Callers`."""
        self._over = True
        if not self.closed.done():
            self.closed.set_result(None)

    def _release(self, release: Release) -> None:
        for resident in self._holders():
            resident.post.send(release)

    def _holders(self) -> list[Resident]:
        return [resident for resident in self._residents.living() if self._number in resident.engines]


class SharedEngine(EngineLife):
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
        launched: Launched,
        residents: Residents,
        book: Book,
    ) -> None:
        """Made by `start`."""
        self.number = number
        self.callers = Everyone(number, settings, residents)
        self._book = book
        super().__init__(path, settings, command, launched, self.callers)

    @classmethod
    async def start(
        cls,
        number: int,
        path: Path,
        settings: EngineSettings,
        residents: Residents,
        book: Book,
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
    def queue(self) -> gauge.Gauge:
        """What waits or is computed, of all front ends."""
        ready = self._launched.ready
        return gauge.read(self._book, self.number, Credits(ready.credit_rows, ready.credit_bytes))

    @property
    def entry(self) -> EngineEntry:
        """How it stands."""
        return EngineEntry(self.number, self.available, self.restarts)

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """Raises Unavailable: only front ends ask."""
        raise Unavailable("this process answers no predictions; its front ends do")
