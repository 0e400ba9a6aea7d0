"""A front end's link to one engine. It outlives the engine's processes."""

from collections.abc import Callable
from dataclasses import replace
from socket import socket

from foldserve_contract.signature import Array, Arrays, Signature
from foldserve_engine.link.handshake import WarmedSize
from foldserve_engine.link.packets import Credits, Origin
from foldserve_engine.link.status_page import StatusPage

from ...errors import ServingError, Unavailable
from ...stats.counters import Counters
from ..connection import PacketConnection
from ..process.launch import LaunchedEngine
from ..settings import EngineSettings
from .dispatcher import Dispatcher
from .pending import PendingRequests
from .slabs import Slabs


class EngineClient:
    """The requests of one front end to one engine: a `life.Callers`.

    Attributes:
        calls: What waits or is computed.
    """

    def __init__(
        self,
        front: int,
        signature: Signature,
        max_batch_size: int,
        credits: Credits,
        settings: EngineSettings,
        gauge: Counters | None = None,
    ) -> None:
        """Without a process, requests wait.

        Args:
            front: The front end's number.
            signature: What the engine takes and gives.
            max_batch_size: Most rows in a batch.
            credits: What the engine grants to all front ends together.
            settings: How it was started.
            gauge: Where requests, rows and bytes in flight are shown.
        """
        share = credits.share(settings.front_ends)
        shared = replace(settings, max_queue_rows=share.rows, max_queue_bytes=share.size)
        slabs = Slabs(signature, max_batch_size, shared)
        self.calls = PendingRequests(slabs.arena, share, settings.max_request_bytes, gauge)
        self.calls.delay_s = settings.batch_timeout_micros / 1e6 if settings.together else 0.0
        self._dispatcher = Dispatcher(slabs, self.calls)
        self._front = front
        self._connection: PacketConnection | None = None
        self._page: StatusPage | None = None

    def join(self, launched: LaunchedEngine) -> None:
        """See `life.Callers`: the process was started by this one, and ends where it gives up the link."""
        largest = launched.ready.warmed[-1]
        self.attach(launched.link(self._front), launched.epoch, launched.page, largest, launched.child.kill)

    def attach(
        self, sock: socket, epoch: int, page: StatusPage, largest: WarmedSize, on_end: Callable[[], None]
    ) -> None:
        """Takes a process.

        Args:
            sock: The front end's end of the link to it.
            epoch: Which process of the engine it is.
            page: Where it says what it computes.
            largest: How long its largest batch takes.
            on_end: Called when it has closed the link.

        Raises:
            OSError: What waits cannot be given to it.
        """
        self.calls.seconds_per_row = largest.seconds / largest.rows
        self._page = page
        self._connection = PacketConnection(sock, lambda packet: None, on_end)
        self._dispatcher.attach(self._connection, Origin(self._front, epoch))

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool) -> dict[str, Array]:
        """See `EngineProcess.predict`."""
        return await self._dispatcher.predict(inputs, deadline_ns, exact)

    def lost(self, refusal: Unavailable) -> None:
        """See `life.Callers`."""
        if self._connection is not None:
            self._connection.on_end = _nothing
            self._connection.receive()  # what it answered before it died
            self._connection.close()
        running = self._page.running() if self._page is not None else None
        self._dispatcher.detach(running.of(self._front) if running else (), refusal)
        self._connection = self._page = None

    def refuse(self, refusal: Unavailable) -> None:
        """See `life.Callers`."""
        self._dispatcher.refuse(refusal)

    def fail(self, error: ServingError) -> None:
        """See `life.Callers`."""
        self._dispatcher.fail(error)

    async def answered(self) -> None:
        """See `life.Callers`."""
        await self._dispatcher.answered()

    def close(self) -> None:
        """See `life.Callers`."""
        self._dispatcher.close()


def _nothing() -> None:
    pass
