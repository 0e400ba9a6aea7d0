"""The supervisor's side of all front ends: who sits where, and by which table they answer."""

import asyncio
import itertools
import logging
import os
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...config.options import ServerOptions
from ...engines import EngineSettings, RestartPolicy
from ...engines.process.restart_policy import RestartBackoff
from ...errors import CannotStart, FrontEndsFailed
from ...models.admin import Admin
from ...models.changes import Changes
from ...models.table import Table
from ...stats.telemetry import BUSY_BYTES
from ...system.address import reserve
from .. import messages
from ..heartbeat import HeartbeatPolicy
from ..messages import AdminRequest, CancelAdminRequest, Drain, EngineReleased, FrontEndHello
from ..queue_gauge import QUEUE
from ..shared_counters import SharedCounterStore
from .admin_service import AdminService
from .front_end_process import FRONT_COMMAND, FrontEndProcess
from .shared_engine import SharedEngine
from .table_snapshot import snapshot

log = logging.getLogger(__name__)
MAX_FRONT = 1 << 15
_LEAST_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """How front ends are run.

    Attributes:
        words: The command line that the server was started with.
        command: What is executed, the descriptor of the control socket following.
        restarts: When a front end that ended is started again; the crashes of all are counted together.
    """

    options: ServerOptions
    words: tuple[str, ...]
    command: Sequence[str] = FRONT_COMMAND
    restarts: RestartPolicy = RestartPolicy()  # noqa: RUF009


class FrontEndPool:
    """All front ends.

    Attributes:
        book: What they count; the last book is the supervisor's.
        changes: Rings when one has adopted a table, released an engine, or is gone.
        port: Where they listen.
    """

    def __init__(self, plan: PoolPlan, table: Table, book: SharedCounterStore) -> None:
        """Nobody is there yet.

        Raises:
            CannotStart: The port cannot be had.
        """
        self.book = book
        self.changes = Changes()
        options = plan.options
        self.port, self._held = reserve(options.host, options.port)
        self._plan, self._options, self._table = plan, options, table
        self._rest_port = options.rest_port
        self._patience = HeartbeatPolicy.of(options.front_end_timeout_s, options.transport.max_message_bytes)
        self._engines: dict[int, SharedEngine] = {}
        self._engine_numbers, self._front_numbers = itertools.count(1), itertools.count(1)
        self._residents: dict[int, FrontEndProcess] = {}
        self._crashes = RestartBackoff(plan.restarts)
        self._told = messages.TableSnapshot(0, False, (), ())
        self._started = self._stopping = False
        self._desk: AdminService | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, admin: Admin) -> None:
        """Starts them; returns when all of them listen.

        Args:
            admin: Answers what callers want changed.

        Raises:
            CannotStart: One of them cannot.
        """
        self._desk = AdminService(admin, self.settled)
        self._spawn(self._publish_changes())
        for seat in range(self._options.front_ends):
            self._sit(seat)
        while not self._all_listen():
            change = self.changes.ticket()
            if self._failure.done():
                self._failure.result()
            if not self._all_listen():
                await change.wait()

    async def start_engine(self, path: Path, settings: EngineSettings) -> SharedEngine:
        """Starts an engine that they may ask; see `launcher.StartProcess`."""
        engine = await SharedEngine.start(next(self._engine_numbers), path, settings, self, self.book)
        self._engines[engine.number] = engine
        engine.callers.closed.add_done_callback(lambda _: self._engines.pop(engine.number, None))
        return engine

    def living(self) -> list[FrontEndProcess]:
        """The front ends that are there."""
        return list(self._residents.values())

    @property
    def rest_port(self) -> int | None:
        """Where REST and the page are."""
        return self._rest_port

    def begin(self) -> None:
        """All that was there at the start is loaded or refused."""
        self._started = True
        self.publish()

    def publish(self) -> int:
        """Tells everybody what has changed, if anything has; gives the epoch of the newest table."""
        now = replace(snapshot(self._table, self._engines.values(), self._started), epoch=self._told.epoch)
        if now != self._told:
            self._told = replace(now, epoch=now.epoch + 1)
            for resident in self.living():
                resident.tell(self._told)
        return self._told.epoch

    async def settled(self) -> None:
        """Returns when every front end that is there answers by the newest table."""
        epoch = self.publish()
        while not all(resident.answers_by(epoch) for resident in self.living()):
            change = self.changes.ticket()
            if not all(resident.answers_by(epoch) for resident in self.living()):
                await change.wait()

    async def failed(self) -> None:
        """Never returns.

        Raises:
            FrontEndsFailed: They ended too often.
        """
        await asyncio.shield(self._failure)

    def drain(self) -> None:
        """From now on health says that nothing serves."""
        self._stopping = True
        for resident in self.living():
            resident.post.send(Drain())

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and ends after the grace at the latest."""
        self._stopping = True
        residents = self.living()
        for resident in residents:
            resident.stop(grace_s)
        ended = [resident.child.exited for resident in residents]
        if ended:
            await asyncio.wait(ended, timeout=grace_s + _LEAST_GRACE_S)
        for resident in residents:
            resident.child.kill()
        if ended:
            await asyncio.wait(ended)
        for task in self._tasks:
            task.cancel()
        for sock in self._held:
            sock.close()

    def heard(self, resident: FrontEndProcess, document: Any) -> None:
        """See `seat.House`."""
        if isinstance(document, AdminRequest) and self._desk is not None:
            self._desk.ask(resident, document)
        elif isinstance(document, CancelAdminRequest) and self._desk is not None:
            self._desk.withdraw(resident, document)
        elif isinstance(document, EngineReleased):
            resident.engines.discard(document.engine)
        if resident.rest_port is not None:
            self._rest_port = resident.rest_port
        self.changes.ring()

    def hand(self, resident: FrontEndProcess) -> int:
        """See `seat.House`."""
        return self.book.read(resident.seat, BUSY_BYTES)[0]

    def gone(self, resident: FrontEndProcess, reason: str) -> None:
        """See `seat.House`: what it had in hand is nobody's, and another takes its seat."""
        del self._residents[resident.seat]
        self.book.clear(resident.seat, QUEUE)
        self.book.clear(resident.seat, *BUSY_BYTES)
        if self._desk is not None:
            self._desk.forget(resident)
        self.changes.ring()
        if self._stopping:
            return
        if resident.refused is not None and not self._started and not resident.listening:
            self._fail(CannotStart(reason))
            return
        log.error("%s", reason)
        if resident.refused is not None:  # a file that it needs cannot be used now: the others go on meanwhile
            self._spawn(self._sit_again(resident.seat, self._plan.restarts.longest_delay_s))
        else:
            self._vacant(resident.seat, reason)

    def _vacant(self, seat: int, reason: str) -> None:
        """Has somebody else take a seat after a while, unless that was too often."""
        delay_s = self._crashes.note(asyncio.get_running_loop().time())
        if delay_s is None:
            limit, window_s = self._plan.restarts.limit, self._plan.restarts.window_s
            self._fail(FrontEndsFailed(f"front ends ended {limit} times within {window_s:g} s; at last {reason}"))
        else:
            self._spawn(self._sit_again(seat, delay_s))

    async def _sit_again(self, seat: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if not self._stopping:
            self._sit(seat)

    def _sit(self, seat: int) -> None:
        """Starts a front end in a seat: it is told who it is, of every engine, and of the table."""
        self.publish()
        front = next(self._front_numbers) % MAX_FRONT or next(self._front_numbers) % MAX_FRONT
        try:
            resident = FrontEndProcess(front, seat, self, self._patience, self._plan.command)
        except OSError as error:
            log.error("no front end can be started: %s", error)
            self._vacant(seat, f"none could be started: {error}")
            return
        self._residents[seat] = resident
        try:
            self._welcome(resident)
        except OSError:
            log.exception("front end %d cannot be told who it is", front)
            resident.child.kill()

    def _welcome(self, resident: FrontEndProcess) -> None:
        rest_port = self._rest_port if resident.seat == 0 else None
        seats = self._options.front_ends + 1
        welcome = FrontEndHello(
            resident.front, resident.seat, seats, os.getpid(), self._plan.words, self.port, rest_port
        )
        resident.post.send(welcome, [os.dup(self.book.memory.descriptor)])
        for engine in self._engines.values():
            engine.callers.link(resident)
        resident.tell(self._told)

    def _all_listen(self) -> bool:
        residents = self.living()
        return len(residents) == self._options.front_ends and all(one.listening for one in residents)

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # whether or not anybody looks
        self.changes.ring()

    async def _publish_changes(self) -> None:
        while True:
            change = self._table.changes.ticket()
            self.publish()
            await change.wait()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
