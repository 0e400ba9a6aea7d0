"""A front end in a process of its own: `python -P -m foldserve_server.frontends.front_end.front_end --control N`.

It is started with one end of a socket pair, and ends when the other end is closed or its parent dies.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from importlib import import_module
from socket import socket
from typing import Any

from foldserve_engine.spec import EngineKind
from foldserve_engine.worker import process_limits

from ...config.options import ServerOptions
from ...config.parse_flags import parse_front_end
from ...context.span import untraced
from ...engines.launcher import settings_of
from ...errors import CannotStart
from ...listeners import Listeners, listen
from ...models.routing_table import RoutingTable
from ...stats.metric_counters import MetricCounters
from ...system.allocator import keep_freed_pages
from ...system.garbage_collector import freeze_objects
from ...system.log import configure
from ...tracing import Tracing, tracing_requested
from ..admin_messages import AdminReply
from ..message_channel import MessageChannel, close_all
from ..messages import (
    Drain,
    EngineLinked,
    EngineReleased,
    FrontEndHello,
    ListenFailed,
    Listening,
    Ping,
    Pong,
    ReleaseEngine,
    StartListening,
    Stop,
    TableAck,
    TableSnapshot,
)
from ..queue_gauge import QUEUE
from ..shared_counters import SharedCounterStore
from .admin_client import AdminClient
from .routing import Routing

log = logging.getLogger(__name__)


class FrontEndWorker:
    """Handles the supervisor's messages: links, tables, start and stop of listening."""

    def __init__(self, sock: socket) -> None:
        """Owns the socket from then on."""
        self._channel = MessageChannel(sock, self._on_message, _end_at_once)
        self._admin = AdminClient(self._channel.send)
        self._options: ServerOptions | None = None
        self._routing: Routing | None = None
        self._listeners: Listeners | None = None
        self._tracing: Tracing | None = None
        self._metric_counters: MetricCounters | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = self._draining = False
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Returns the exit status when the front end has stopped."""
        status = await self._done
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        self._channel.close()
        return status

    def _on_message(self, message: Any, descriptors: Sequence[int]) -> None:
        try:
            self._handle(message, descriptors)
        except CannotStart as error:
            self._fail(str(error))
        except Exception:
            log.exception("a front end cannot handle %s", type(message).__name__)
            os._exit(1)

    def _handle(self, message: Any, descriptors: Sequence[int]) -> None:
        match message:
            case FrontEndHello():
                self._begin(message, descriptors)
            case EngineLinked() if self._routing is not None:
                self._routing.link(message, descriptors)
            case TableSnapshot() if self._routing is not None:
                self._adopt(message, self._routing)
            case ReleaseEngine() if self._routing is not None:
                self._spawn(self._routing.release(message, lambda engine: self._channel.send(EngineReleased(engine))))
            case StartListening():
                self._spawn(self._listen())
            case Ping() if self._metric_counters is not None:
                self._metric_counters.heartbeat()
                self._channel.send(Pong(message.number))
            case AdminReply():
                self._admin.on_reply(message)
            case Drain():
                self._draining = True
                self._update_health()
            case Stop():
                self._spawn(self._stop(message.grace_s))
            case _:
                close_all(descriptors)
                raise RuntimeError(f"{type(message).__name__} is unexpected in this state")

    def _begin(self, hello: FrontEndHello, descriptors: Sequence[int]) -> None:
        # the process: its end with the supervisor, its log, its memory
        process_limits.die_with_parent(hello.parent)
        command = parse_front_end(hello.arguments)
        configure(command.log_style, command.log_level)
        keep_freed_pages()
        self._spawn(_import_grpc())  # while engines are linked
        # the options, with the ports and the socket that this slot has
        transport = replace(
            command.options.transport,
            shared_port=True,
            socket_path=command.options.transport.socket_path if hello.slot == 0 else None,
        )
        self._options = replace(command.options, port=hello.port, rest_port=hello.rest_port, transport=transport)
        # counters, shared with all front ends; those of the process before in this slot go on
        counters = SharedCounterStore.attach(descriptors[0], hello.slots, hello.slot)
        counters.clear(hello.slot, QUEUE)
        self._metric_counters = MetricCounters(counters)
        if tracing_requested():
            self._tracing = Tracing.from_environment()
        settings = {kind: settings_of(kind, self._options) for kind in EngineKind}
        self._routing = Routing(RoutingTable(), hello.front_end, settings, counters, self._options.engine.shadow_share)

    def _adopt(self, snapshot: TableSnapshot, routing: Routing) -> None:
        routing.adopt(snapshot)
        self._started = snapshot.started
        self._update_health()
        self._channel.send(TableAck(snapshot.epoch))

    def _update_health(self) -> None:
        if self._listeners is not None and self._started:
            self._listeners.begin()
        if self._listeners is not None and self._draining:
            self._listeners.drain()

    async def _listen(self) -> None:
        if self._options is None or self._routing is None or self._metric_counters is None:
            raise RuntimeError("StartListening came before FrontEndHello")
        tracer = untraced if self._tracing is None else self._tracing.span
        try:
            self._listeners = await listen(
                self._options, self._routing.table, self._admin, self._metric_counters, tracer
            )
        except CannotStart as error:
            self._fail(str(error))
            return
        freeze_objects()
        self._update_health()
        self._channel.send(Listening(self._listeners.rest_port))

    async def _stop(self, grace_s: float) -> None:
        if self._listeners is not None:
            await self._listeners.stop(grace_s)
        self._end(0)

    def _fail(self, reason: str) -> None:
        self._channel.send(ListenFailed(reason))
        self._end(1)

    def _end(self, status: int) -> None:
        if not self._done.done():
            self._done.set_result(status)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of a front end failed", exc_info=error)
            os._exit(1)


def _end_at_once() -> None:
    """Ends the process: the supervisor is gone."""
    os._exit(1)


async def _import_grpc() -> None:
    with contextlib.suppress(ImportError):  # reported where the listeners are started
        await asyncio.to_thread(import_module, "foldserve_server.rpc.server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a front end to its end; its exit status."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager may send it to all; the supervisor decides
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser(
        prog="foldserve_server.frontends.front_end.front_end", description="started by serve-model"
    )
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    descriptor = parser.parse_args(arguments).control
    os.set_inheritable(descriptor, False)
    return asyncio.run(_run(descriptor))


async def _run(descriptor: int) -> int:
    return await FrontEndWorker(socket(fileno=descriptor)).run()


if __name__ == "__main__":
    sys.exit(main())
