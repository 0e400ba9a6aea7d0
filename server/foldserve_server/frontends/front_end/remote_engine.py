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
from foldserve_engine.link.shared_status import SharedStatus

from ...engines import EngineSettings, EngineState, StateHook, refusals
from ...engines.client.engine_client import EngineClient
from ...errors import Unavailable
from ...stats.counter_store import CounterStore
from .. import queue_gauge
from ..messages import EngineEntry, EngineLinked, EngineProfile


class RemoteEngine:
    """An `EngineBackend` in another process than its supervisor's.

    Attributes:
        report: Its load report.
        kind: Its library.
        path: The version directory.
        state: Whether it answers, as reported by the supervisor.
        restarts: How often it was restarted.
        on_state: Called with every new state.
    """

    def __init__(
        self, front_end: int, number: int, profile: EngineProfile, settings: EngineSettings, store: CounterStore
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
        self._store, self._number = store, number
        gauge = queue_gauge.own_counters(store, number)
        self._settings = settings
        self._client = EngineClient(
            front_end, self.report.signature, self.report.max_batch_size, self._credits, settings, gauge
        )
        self._status: SharedStatus | None = None
        self._attached = self._released = self._closed = False

    @property
    def available(self) -> bool:
        """True if it accepts requests now."""
        return self.state is EngineState.AVAILABLE and not self._released

    @property
    def stats(self) -> BatchStats:
        """Statistics of its batches, for all front ends."""
        return self._status.stats if self._status is not None else BatchStats()

    @property
    def batches(self) -> int:
        """Number of batches that the process has begun, for all front ends."""
        return self._status.batches if self._status is not None else 0

    @property
    def computing(self) -> int:
        """Number of requests in the running batch, of all front ends."""
        return self._status.computing if self._status is not None else 0

    @property
    def queue(self) -> queue_gauge.QueueGauge:
        """Requests of all front ends that wait or are computed."""
        return queue_gauge.read_queue(self._store, self._number, self._credits)

    def attach(self, message: EngineLinked, descriptors: Sequence[int]) -> None:
        """Takes a process of the engine: a socket to it, and its shared status.

        Raises:
            OSError: Waiting requests cannot be given to it.
        """
        sock = socket(fileno=descriptors[0])
        if self._attached:  # the end of the process before was not seen yet
            self._lose()
        self.report = message.profile.report
        memory = SharedMemory.attach(descriptors[1])
        memory.close()  # the mapping stays
        self._status = SharedStatus(memory)
        self._attached = True
        self._client.attach(sock, message.epoch, self._status, self.report.warmed[-1], self._lose)

    def mirror(self, entry: EngineEntry) -> None:
        """Mirrors the state published by the supervisor."""
        self.restarts = entry.restarts
        state = EngineState.AVAILABLE if entry.available else EngineState.RESTARTING
        if state is not self.state:
            self.state = state
            if self.on_state is not None:
                self.on_state(state, "reported by the supervisor")

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """See `EngineClient.predict`."""
        return await self._client.predict(inputs, deadline_ns, exact)

    async def stop(self, grace_s: float) -> None:
        """Accepts no more requests, and answers those that wait, or gives them up after the grace."""
        self.refuse()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._client.answered()
        self.give_up(refusals.unloaded())

    def refuse(self) -> None:
        """Accepts no more requests."""
        self._released = True
        self._client.refuse(refusals.unloading(self.path))

    async def answered(self) -> None:
        """Returns once no caller is waiting."""
        await self._client.answered()

    def give_up(self, refusal: Unavailable) -> None:
        """Answers the callers that wait with the refusal, and closes the link."""
        if self._attached:
            self._attached = False
            self._client.lost(refusal)
        self._client.fail(refusal)
        if not self._closed:
            self._closed = True
            self._client.close()

    def _lose(self) -> None:
        """Handles the end of the process; another one may follow."""
        self._attached = False
        delay_s = self._settings.restarts.first_delay_s
        self._client.lost(refusals.restarting(delay_s, self.report.seconds))
