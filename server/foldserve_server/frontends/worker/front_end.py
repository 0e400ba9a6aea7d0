"""A front end in a process of its own: `python -P -m foldserve_server.frontends.worker.front_end --control N`.

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

from foldserve_engine.protocol import EngineKind
from foldserve_engine.worker import process_limits

from ...config.command import parse_front
from ...config.options import ServerOptions
from ...context.span import untraced
from ...engines.launcher import settings_of
from ...errors import CannotStart
from ...listeners import Listeners, listen
from ...models.table import Table
from ...stats.telemetry import Telemetry
from ...system.allocator import keep_freed_pages
from ...system.garbage_collector import freeze_objects
from ...system.log import configure
from ...tracing import Tracing, is_asked_for
from .. import messages
from ..message_channel import MessageChannel, close_all
from ..messages import (
    AdminReply,
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
)
from ..queue_gauge import QUEUE
from ..shared_counters import SharedCounterStore
from .admin_client import AdminClient
from .routing import Routing

log = logging.getLogger(__name__)


class FrontEndWorker:
    """What a front end is told, and does about it."""

    def __init__(self, sock: socket) -> None:
        """Owns the socket from then on."""
        self._post = MessageChannel(sock, self._hear, _end_at_once)
        self._admin = AdminClient(self._post.send)
        self._options: ServerOptions | None = None
        self._routing: Routing | None = None
        self._front: Listeners | None = None
        self._tracing: Tracing | None = None
        self._telemetry: Telemetry | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = self._draining = False
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Returns when it was told to stop, and has: the exit status."""
        status = await self._done
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        self._post.close()
        return status

    def _hear(self, document: Any, descriptors: Sequence[int]) -> None:
        try:
            self._do(document, descriptors)
        except CannotStart as error:
            self._fail(str(error))
        except Exception:
            log.exception("a front end cannot do what it is told")
            os._exit(1)

    def _do(self, document: Any, descriptors: Sequence[int]) -> None:
        match document:
            case FrontEndHello():
                self._begin(document, descriptors)
            case EngineLinked() if self._routing is not None:
                self._routing.link(document, descriptors)
            case messages.TableSnapshot() if self._routing is not None:
                self._adopt(document, self._routing)
            case ReleaseEngine() if self._routing is not None:
                self._spawn(self._routing.release(document, lambda engine: self._post.send(EngineReleased(engine))))
            case StartListening():
                self._spawn(self._listen())
            case Ping() if self._telemetry is not None:
                self._telemetry.look_up()
                self._post.send(Pong(document.number))
            case AdminReply():
                self._admin.answered(document)
            case Drain():
                self._draining = True
                self._tell_health()
            case Stop():
                self._spawn(self._stop(document.grace_s))
            case _:
                close_all(descriptors)
                raise RuntimeError(f"{type(document).__name__} is out of place")

    def _begin(self, welcome: FrontEndHello, descriptors: Sequence[int]) -> None:
        process_limits.die_with_parent(welcome.parent)
        command = parse_front(welcome.words)
        configure(command.log_style, command.log_level)
        keep_freed_pages()
        self._spawn(_import_grpc())  # beside the links
        shared = replace(
            command.options.transport,
            shared_port=True,
            socket_path=command.options.transport.socket_path if welcome.seat == 0 else None,
        )
        self._options = replace(command.options, port=welcome.port, rest_port=welcome.rest_port, transport=shared)
        book = SharedCounterStore.attach(descriptors[0], welcome.seats, welcome.seat)
        book.clear(welcome.seat, QUEUE)
        table = Table()
        self._telemetry = Telemetry(book)
        if is_asked_for():
            self._tracing = Tracing.configured()
        settings = {kind: settings_of(kind, self._options) for kind in EngineKind}
        self._routing = Routing(table, welcome.front, settings, book, self._options.engine.shadow_share)

    def _adopt(self, told: messages.TableSnapshot, routing: Routing) -> None:
        routing.adopt(told)
        self._started = told.started
        self._tell_health()
        self._post.send(TableAck(told.epoch))

    def _tell_health(self) -> None:
        if self._front is not None and self._started:
            self._front.begin()
        if self._front is not None and self._draining:
            self._front.drain()

    async def _listen(self) -> None:
        if self._options is None or self._routing is None or self._telemetry is None:
            raise RuntimeError("it was told to listen before it was told where")
        tracer = untraced if self._tracing is None else self._tracing.span
        try:
            self._front = await listen(self._options, self._routing.table, self._admin, self._telemetry, tracer)
        except CannotStart as error:
            self._fail(str(error))
            return
        freeze_objects()
        self._tell_health()
        self._post.send(Listening(self._front.rest_port))

    async def _stop(self, grace_s: float) -> None:
        if self._front is not None:
            await self._front.stop(grace_s)
        self._end(0)

    def _fail(self, reason: str) -> None:
        self._post.send(ListenFailed(reason))
        self._end(1)

    def _end(self, status: int) -> None:
        if not self._done.done():
            self._done.set_result(status)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a front end cannot do what it is told", exc_info=error)
            os._exit(1)


def _end_at_once() -> None:
    """The supervisor is gone."""
    os._exit(1)


async def _import_grpc() -> None:
    with contextlib.suppress(ImportError):  # whoever listens says so
        await asyncio.to_thread(import_module, "foldserve_server.rpc.server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a front end to its end; its exit status."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager may send it to all; the supervisor decides
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser(
        prog="foldserve_server.frontends.worker.front_end", description="started by serve-model"
    )
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    descriptor = parser.parse_args(arguments).control
    os.set_inheritable(descriptor, False)
    return asyncio.run(_run(descriptor))


async def _run(descriptor: int) -> int:
    return await FrontEndWorker(socket(fileno=descriptor)).run()


if __name__ == "__main__":
    sys.exit(main())
