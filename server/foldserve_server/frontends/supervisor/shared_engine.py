"""An engine shared by front ends in processes of their own."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.packets import Credits

from ...engines import EngineSettings
from ...engines.process.engine_supervisor import EngineSupervisor
from ...engines.process.spawn import ENGINE_COMMAND, LaunchedEngine, launch
from ...errors import NotNow, ServingError, Unavailable
from ...models.change_notifier import Changes
from ...stats.counter_store import CounterStore
from .. import queue_gauge
from ..messages import EngineEntry, EngineLinked, EngineProfile, ReleaseEngine
from .front_end_process import FrontEndProcess


class FrontEndRegistry(Protocol):
    """The front ends, as an engine needs them.

    Attributes:
        changes: Rings when a front end has released an engine, or has ended.
    """

    changes: Changes

    def running(self) -> Iterable[FrontEndProcess]:
        """The front ends whose processes have not ended."""

    async def settled(self) -> None:
        """Returns when all of them answer by the newest table."""


class FrontEndCallers:
    """All front ends: the `EngineCallers` of one engine.

    Attributes:
        closed: Done when the engine is over.
    """

    def __init__(self, number: int, settings: EngineSettings, front_ends: FrontEndRegistry) -> None:
        """No front end asks the engine of that number, which is run with these settings, yet."""
        self._number = number
        self._settings = settings
        self._front_ends = front_ends
        self._profile: EngineProfile | None = None
        self._launched: LaunchedEngine | None = None
        self._over = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def join(self, launched: LaunchedEngine) -> None:
        """See `EngineCallers`."""
        self._launched = launched
        report, ready = launched.report, launched.ready
        self._profile = EngineProfile(
            str(launched.path), self._settings.kind, report, ready.credit_rows, ready.credit_bytes
        )
        for front_end in self._front_ends.running():
            self.link(front_end)

    def link(self, front_end: FrontEndProcess) -> None:
        """Gives a front end a link, if there is a process to link it with.

        Raises:
            OSError: There is no descriptor left.
        """
        launched, profile = self._launched, self._profile
        if launched is None or profile is None or self._over:
            return
        message = EngineLinked(self._number, launched.epoch, profile)
        sock = launched.link(front_end.number)
        front_end.engines.add(self._number)
        front_end.channel.send(message, [sock.detach(), os.dup(launched.status.memory.descriptor)])

    def lost(self, refusal: Unavailable) -> None:
        """See `EngineCallers`: front ends see the end of their links."""
        self._launched = None

    def refuse(self, refusal: Unavailable) -> None:
        """See `EngineCallers`: front ends refuse when the engine is released, see `answered`."""
        self._over = True

    def fail(self, error: ServingError) -> None:
        """See `EngineCallers`."""
        self._over = True
        retry = error.retry_after_ms if isinstance(error, Unavailable) else None
        self._release(ReleaseEngine(self._number, str(error), retry))

    async def answered(self) -> None:
        """See `EngineCallers`: first every front end answers by a table without the engine."""
        await self._front_ends.settled()
        self._release(ReleaseEngine(self._number, None, None))
        while self._holders():
            change = self._front_ends.changes.ticket()
            if self._holders():
                await change.wait()

    def close(self) -> None:
        """See `EngineCallers`."""
        self._over = True
        if not self.closed.done():
            self.closed.set_result(None)

    def _release(self, message: ReleaseEngine) -> None:
        for front_end in self._holders():
            front_end.channel.send(message)

    def _holders(self) -> list[FrontEndProcess]:
        return [front_end for front_end in self._front_ends.running() if self._number in front_end.engines]


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
        front_ends: FrontEndRegistry,
        counters: CounterStore,
    ) -> None:
        """Made by `start`."""
        self.number = number
        self.callers = FrontEndCallers(number, settings, front_ends)
        self._counters = counters
        super().__init__(path, settings, command, launched, self.callers)

    @classmethod
    async def start(
        cls,
        number: int,
        path: Path,
        settings: EngineSettings,
        front_ends: FrontEndRegistry,
        counters: CounterStore,
        command: Sequence[str] = ENGINE_COMMAND,
    ) -> "SharedEngine":
        """As `EngineProcess.start`.

        Raises:
            LoadFailed: It must not serve; the message is the reason.
        """
        launched = await launch(path, settings, command)
        try:
            return cls(number, path, settings, command, launched, front_ends, counters)
        except OSError as error:
            await asyncio.shield(launched.discard())
            raise NotNow(f"the front ends cannot be given a link to it: {error}") from error
        except BaseException:
            await asyncio.shield(launched.discard())
            raise

    @property
    def queue(self) -> queue_gauge.QueueGauge:
        """Requests of all front ends that wait or are computed."""
        ready = self._launched.ready
        return queue_gauge.read_queue(self._counters, self.number, Credits(ready.credit_rows, ready.credit_bytes))

    @property
    def entry(self) -> EngineEntry:
        """Its entry in the table snapshot."""
        return EngineEntry(self.number, self.available, self.restarts)

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """Raises Unavailable: the supervisor answers no predictions."""
        raise Unavailable("this process answers no predictions; its front ends do")
