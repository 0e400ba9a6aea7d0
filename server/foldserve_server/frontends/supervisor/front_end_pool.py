"""Pool of the front-end processes: starts, replaces and stops them, and publishes the routing table to them."""

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
from ...models.change_notifier import Changes
from ...models.routing_table import RoutingTable
from ...stats.metric_counters import BUSY_BYTES
from ...system.address import reserve
from ..admin_messages import AdminRequest, CancelAdminRequest
from ..heartbeat import HeartbeatPolicy
from ..messages import Drain, EngineReleased, FrontEndHello, TableSnapshot
from ..queue_gauge import QUEUE
from ..shared_counters import SharedCounterStore
from .admin_service import AdminService
from .front_end_process import FRONT_END_COMMAND, FrontEndProcess
from .shared_engine import SharedEngine
from .table_snapshot import snapshot

log = logging.getLogger(__name__)
MAX_NUMBER = 1 << 15
_LEAST_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Plan of the front-end processes: options, command line, restarts.

    Attributes:
        arguments: The command line that the server was started with.
        command: The command that is executed, the descriptor of the control socket following.
        restarts: When a front end that ended is replaced; the crashes of all are counted together.
    """

    options: ServerOptions
    arguments: tuple[str, ...]
    command: Sequence[str] = FRONT_END_COMMAND
    restarts: RestartPolicy = RestartPolicy()  # noqa: RUF009


class FrontEndPool:
    """All front ends: one process in each slot, and its successors after a crash.

    Attributes:
        counters: The counters of all front ends; the last slot is the supervisor's.
        changes: Notifies waiters when a front end has applied a table, released an engine, or has ended.
        port: The port on which they listen.
    """

    def __init__(self, plan: PoolPlan, table: RoutingTable, counters: SharedCounterStore) -> None:
        """No front end is started yet.

        Raises:
            CannotStart: The port cannot be bound.
        """
        self.counters = counters
        self.changes = Changes()
        options = plan.options
        self.port, self._reserved = reserve(options.host, options.port)
        self._plan, self._options, self._table = plan, options, table
        self._rest_port = options.rest_port
        self._policy = HeartbeatPolicy.of(options.front_end_timeout_s, options.transport.max_message_bytes)
        self._engines: dict[int, SharedEngine] = {}
        self._engine_numbers, self._numbers = itertools.count(1), itertools.count(1)
        self._processes: dict[int, FrontEndProcess] = {}
        self._backoff = RestartBackoff(plan.restarts)
        self._published = TableSnapshot(0, False, (), ())
        self._started = self._stopping = False
        self._admin_service: AdminService | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, admin: Admin) -> None:
        """Starts them; returns when all of them listen.

        Args:
            admin: Carries out the administration requests of their callers.

        Raises:
            CannotStart: One of them cannot.
        """
        self._admin_service = AdminService(admin, self.settled)
        self._spawn(self._publish_changes())
        for slot in range(self._options.front_ends):
            self._fill(slot)
        while not self._all_listen():
            change = self.changes.ticket()
            if self._failure.done():
                self._failure.result()
            if not self._all_listen():
                await change.wait()

    async def start_engine(self, path: Path, settings: EngineSettings) -> SharedEngine:
        """Starts an engine for all front ends; see `launcher.StartProcess`."""
        engine = await SharedEngine.start(next(self._engine_numbers), path, settings, self, self.counters)
        self._engines[engine.number] = engine
        engine.callers.closed.add_done_callback(lambda _: self._engines.pop(engine.number, None))
        return engine

    def running(self) -> list[FrontEndProcess]:
        """The front ends whose processes have not ended."""
        return list(self._processes.values())

    @property
    def rest_port(self) -> int | None:
        """The port of REST and the page."""
        return self._rest_port

    def begin(self) -> None:
        """Tells the front ends that every model that was there at the start is loaded or refused."""
        self._started = True
        self.publish()

    def publish(self) -> int:
        """Sends the table to all front ends if it has changed; gives the epoch of the newest table."""
        now = replace(snapshot(self._table, self._engines.values(), self._started), epoch=self._published.epoch)
        if now != self._published:
            self._published = replace(now, epoch=now.epoch + 1)
            for process in self.running():
                process.send_table(self._published)
        return self._published.epoch

    async def settled(self) -> None:
        """Waits until every running front end uses the newest routing table."""
        epoch = self.publish()
        while not all(process.has_adopted(epoch) for process in self.running()):
            change = self.changes.ticket()
            if not all(process.has_adopted(epoch) for process in self.running()):
                await change.wait()

    async def failed(self) -> None:
        """Never returns.

        Raises:
            FrontEndsFailed: They ended too often.
        """
        await asyncio.shield(self._failure)

    def drain(self) -> None:
        """Makes the health check report NOT_SERVING from now on."""
        self._stopping = True
        for process in self.running():
            process.channel.send(Drain())

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and ends after the grace at the latest."""
        self._stopping = True
        processes = self.running()
        for process in processes:
            process.stop(grace_s)
        exits = [process.child.exited for process in processes]
        if exits:
            await asyncio.wait(exits, timeout=grace_s + _LEAST_GRACE_S)
        for process in processes:
            process.child.kill()
        if exits:
            await asyncio.wait(exits)
        for task in self._tasks:
            task.cancel()
        for sock in self._reserved:
            sock.close()

    def on_message(self, front_end: FrontEndProcess, message: Any) -> None:
        """See `ProcessOwner`."""
        if isinstance(message, AdminRequest) and self._admin_service is not None:
            self._admin_service.begin(front_end, message)
        elif isinstance(message, CancelAdminRequest) and self._admin_service is not None:
            self._admin_service.cancel(front_end, message)
        elif isinstance(message, EngineReleased):
            front_end.engines.discard(message.engine)
        if front_end.rest_port is not None:
            self._rest_port = front_end.rest_port
        self.changes.ring()

    def busy_bytes(self, front_end: FrontEndProcess) -> int:
        """See `ProcessOwner`."""
        return self.counters.read(front_end.slot, BUSY_BYTES)[0]

    def on_exit(self, front_end: FrontEndProcess, reason: str) -> None:
        """See `ProcessOwner`: its queue and busy bytes are cleared, and another process fills its slot."""
        del self._processes[front_end.slot]
        self.counters.clear(front_end.slot, QUEUE)
        self.counters.clear(front_end.slot, *BUSY_BYTES)
        if self._admin_service is not None:
            self._admin_service.cancel_all(front_end)
        self.changes.ring()
        if self._stopping:
            return
        if front_end.refused is not None and not self._started and not front_end.listening:
            self._fail(CannotStart(reason))
            return
        log.error("%s", reason)
        if front_end.refused is not None:  # a file that it needs cannot be used now: the others go on meanwhile
            self._spawn(self._fill_later(front_end.slot, self._plan.restarts.longest_delay_s))
        else:
            self._restart(front_end.slot, reason)

    def _restart(self, slot: int, reason: str) -> None:
        """Fills a slot again after a while, unless that was too often."""
        delay_s = self._backoff.note(asyncio.get_running_loop().time())
        if delay_s is None:
            limit, window_s = self._plan.restarts.limit, self._plan.restarts.window_s
            self._fail(FrontEndsFailed(f"front ends ended {limit} times within {window_s:g} s; at last {reason}"))
        else:
            self._spawn(self._fill_later(slot, delay_s))

    async def _fill_later(self, slot: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if not self._stopping:
            self._fill(slot)

    def _fill(self, slot: int) -> None:
        """Starts a front end in a slot; it gets its identity, every engine, and the table."""
        self.publish()
        number = next(self._numbers) % MAX_NUMBER or next(self._numbers) % MAX_NUMBER
        try:
            process = FrontEndProcess(number, slot, self, self._policy, self._plan.command)
        except OSError as error:
            log.error("no front end can be started: %s", error)
            self._restart(slot, f"none could be started: {error}")
            return
        self._processes[slot] = process
        try:
            self._greet(process)
        except OSError:
            log.exception("front end %d cannot be initialised", number)
            process.child.kill()

    def _greet(self, process: FrontEndProcess) -> None:
        rest_port = self._rest_port if process.slot == 0 else None
        slots = self._options.front_ends + 1
        hello = FrontEndHello(
            process.number, process.slot, slots, os.getpid(), self._plan.arguments, self.port, rest_port
        )
        process.channel.send(hello, [os.dup(self.counters.memory.descriptor)])
        for engine in self._engines.values():
            engine.callers.link(process)
        process.send_table(self._published)

    def _all_listen(self) -> bool:
        processes = self.running()
        return len(processes) == self._options.front_ends and all(process.listening for process in processes)

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # retrieved, whether or not `failed` is awaited
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
