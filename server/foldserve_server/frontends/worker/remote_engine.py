"""An engine that the supervisor started, as a front end asks it."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from socket import socket

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.batch_stats import BatchStats
from foldserve_engine.link.packets import Credits
from foldserve_engine.link.shared_memory import SharedMemory
from foldserve_engine.link.status_page import StatusPage

from ...engines import EngineSettings, EngineState, StateHook, refusals
from ...engines.client.engine_client import EngineClient
from ...errors import Unavailable
from ...stats.counters import CounterStore
from .. import queue_gauge
from ..messages import EngineEntry, EngineLinked, EngineProfile


class RemoteEngine:
    """A `serving.Process` in another process than its supervisor's.

    Attributes:
        report: What the engine said when it was ready.
        kind: Its library.
        path: The version directory.
        state: Whether it answers, as the supervisor says.
        restarts: How often it was started again.
        on_state: Called with every new state.
    """

    def __init__(
        self, front: int, number: int, profile: EngineProfile, settings: EngineSettings, book: CounterStore
    ) -> None:
        """Without a process yet; see `attach`.

        Raises:
            OSError: There is no memory for its requests.
        """
        self.report = profile.report
        self.kind, self.path = profile.kind, Path(profile.path)
        self.state = EngineState.AVAILABLE
        self.restarts = 0
        self.on_state: StateHook | None = None
        self._credits = Credits(profile.credit_rows, profile.credit_bytes)
        self._book, self._number = book, number
        shown = queue_gauge.own_counters(book, number)
        self._settings = settings
        self._link = EngineClient(
            front, self.report.signature, self.report.max_batch_size, self._credits, settings, shown
        )
        self._page: StatusPage | None = None
        self._attached = self._released = self._closed = False

    @property
    def available(self) -> bool:
        """Whether it takes requests now."""
        return self.state is EngineState.AVAILABLE and not self._released

    @property
    def stats(self) -> BatchStats:
        """What batches it was given, of any front end."""
        return self._page.stats if self._page is not None else BatchStats()

    @property
    def batches(self) -> int:
        """How many batches the process has begun, for any front end."""
        return self._page.batches if self._page is not None else 0

    @property
    def computing(self) -> int:
        """Requests in the batch that runs, of any front end."""
        return self._page.computing if self._page is not None else 0

    @property
    def queue(self) -> queue_gauge.QueueGauge:
        """What waits or is computed, of all front ends."""
        return queue_gauge.read_queue(self._book, self._number, self._credits)

    def attach(self, told: EngineLinked, descriptors: Sequence[int]) -> None:
        """Takes a process of the engine: a socket to it, and its page.

        Raises:
            OSError: What waits cannot be given to it.
        """
        sock = socket(fileno=descriptors[0])
        if self._attached:  # the end of the process before was not seen yet
            self._lose()
        self.report = told.profile.report
        memory = SharedMemory.attach(descriptors[1])
        memory.close()  # the mapping stays
        self._page = StatusPage(memory)
        self._attached = True
        self._link.attach(sock, told.epoch, self._page, self.report.warmed[-1], self._lose)

    def told(self, entry: EngineEntry) -> None:
        """Takes over what the supervisor says of it."""
        self.restarts = entry.restarts
        state = EngineState.AVAILABLE if entry.available else EngineState.RESTARTING
        if state is not self.state:
            self.state = state
            if self.on_state is not None:
                self.on_state(state, "so the supervisor says")

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """See `engines.EngineProcess.predict`."""
        return await self._link.predict(inputs, deadline_ns, exact)

    async def stop(self, grace_s: float) -> None:
        """Takes no more requests, and answers what was accepted, or gives it up after the grace."""
        self.refuse()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._link.answered()
        self.give_up(refusals.unloaded())

    def refuse(self) -> None:
        """Takes no more requests."""
        self._released = True
        self._link.refuse(refusals.unloading(self.path))

    async def answered(self) -> None:
        """Returns once nobody is waiting."""
        await self._link.answered()

    def give_up(self, refusal: Unavailable) -> None:
        """Answers whoever waits with the refusal, and closes the link."""
        if self._attached:
            self._attached = False
            self._link.lost(refusal)
        self._link.fail(refusal)
        if not self._closed:
            self._closed = True
            self._link.close()

    def _lose(self) -> None:
        """The process is gone, and another one may come."""
        self._attached = False
        delay_s = self._settings.restarts.first_delay_s
        self._link.lost(refusals.restarting(delay_s, self.report.seconds))
