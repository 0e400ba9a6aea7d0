"""Starts an engine process and waits until it may serve."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from foldserve_engine.link.channel import Packet, pair
from foldserve_engine.link.handshake import EngineHello, EngineReady, StartFailed, dump, parse
from foldserve_engine.link.packets import Origin, PacketKind
from foldserve_engine.link.shared_memory import SharedMemory
from foldserve_engine.link.shared_status import SharedStatus

from ...errors import LoadFailed, NotNow
from ...system import stall_timer
from ..connection import PacketConnection
from ..report import LoadReport
from ..settings import MAX_SLOTS, EngineSettings
from .child import ChildProcess
from .throttle import throttled

ENGINE_COMMAND = (sys.executable, "-P", "-m", "foldserve_engine", "--control")


class EngineStartFailed(LoadFailed):
    """An engine process ended, or ran out of time, before its first message."""


@dataclass(frozen=True, slots=True)
class LaunchedEngine:
    """An engine process that is ready.

    Attributes:
        path: The version directory it loaded.
        child: The process.
        connection: Its channel.
        status: Its shared status, which shows what it computes.
        ready: Its message when it was ready.
        report: The same, with the bundle's manifest and the times of the start.
        epoch: Which process of the engine it is; counted from 1.
    """

    path: Path
    child: ChildProcess
    connection: PacketConnection
    status: SharedStatus
    ready: EngineReady
    report: LoadReport
    epoch: int = 1

    def link(self, front: int) -> socket:
        """A new link to the process for a front end of that number, which is to have this end of it.

        Raises:
            OSError: There is no descriptor left.
        """
        ours, theirs = pair()
        self.connection.put(PacketKind.LINK, Origin(front, self.epoch).pack(), [theirs.detach()], at_once=True)
        return ours

    def close(self) -> None:
        """Closes what this process holds of it; that ends it."""
        self.connection.close()
        self.status.memory.close()

    async def discard(self) -> None:
        """Ends the process at once; returns when it is gone."""
        self.close()
        self.child.kill()
        await asyncio.shield(self.child.exited)


async def launch(
    path: Path, settings: EngineSettings, command: Sequence[str] = ENGINE_COMMAND, after: LaunchedEngine | None = None
) -> LaunchedEngine:
    """Starts an engine process; returns once it has loaded, warmed and checked the bundle.

    Whatever else happens, cancellation included, the process is gone when this has ended.

    Args:
        path: The version directory.
        settings: How it is to run.
        command: The command that is executed, the descriptor of the control socket following.
        after: The process that it replaces, which has ended; its counts go on.

    Raises:
        NotNow: It could not be started.
        CandidateDied: It ended, or took too long.
        LoadFailed: It refused the bundle; the message is its reason.
    """
    begin, epoch = time.perf_counter(), 1 if after is None else after.epoch + 1
    words: asyncio.Queue[Packet | None] = asyncio.Queue()
    try:
        status = SharedStatus.create(settings.front_ends * MAX_SLOTS)
        if after is not None:
            status.carry_on(after.status)
    except OSError as error:
        raise NotNow(f"no engine process can be started: {error}") from error
    try:
        child, connection = _start(command, words)
    except OSError as error:
        status.memory.close()
        raise NotNow(f"no engine process can be started: {error}") from error
    try:
        connection.put(
            PacketKind.HELLO,
            dump(EngineHello(str(path.absolute()), os.getpid(), settings.spec)),
            [os.dup(status.memory.descriptor)],
            at_once=True,
        )
        async with throttled(child, settings.batches_of_others if after is None else None):
            ready = await _first_word(child, words, settings)
        report = LoadReport.of(ready, path, settings, time.perf_counter() - begin, child.pid)
    except BaseException:
        connection.close()
        status.memory.close()
        child.kill()
        await asyncio.shield(child.exited)
        raise
    return LaunchedEngine(path, child, connection, status, ready, report, epoch)


def _start(command: Sequence[str], words: "asyncio.Queue[Packet | None]") -> tuple[ChildProcess, PacketConnection]:
    ours, theirs = pair()
    with theirs:
        try:
            child = ChildProcess(command, theirs.fileno())
        except BaseException:
            ours.close()
            raise
    return child, PacketConnection(ours, lambda packet: words.put_nowait(packet.kept()), lambda: words.put_nowait(None))


async def _first_word(
    child: ChildProcess, words: "asyncio.Queue[Packet | None]", settings: EngineSettings
) -> EngineReady:
    hearing = asyncio.ensure_future(_hear(child, words))
    try:
        await stall_timer.wait_while_running([hearing], settings.load_timeout_s)
        if not hearing.done():
            raise EngineStartFailed(f"loading took longer than {settings.load_timeout_s:g} s", "LoadTimeout")
        packet = hearing.result()
    finally:
        hearing.cancel()
    if packet is None:
        raise EngineStartFailed(f"while loading, {child.describe_exit()}", "CandidateDied")
    return _ready(packet)


async def _hear(child: ChildProcess, words: "asyncio.Queue[Packet | None]") -> Packet | None:
    """Its first message; None where it has ended without one."""
    packet = await words.get()
    if packet is None:
        await asyncio.shield(child.exited)
    return packet


def _ready(packet: Packet) -> EngineReady:
    if packet.kind is PacketKind.FAILED:
        failed = parse(StartFailed, bytes(packet.payload))
        raise LoadFailed(failed.reason, failed.cause)
    if packet.kind is not PacketKind.READY:
        raise LoadFailed(f"the engine process began with a packet of kind {packet.kind.name}")
    with contextlib.closing(SharedMemory.attach(packet.descriptors[0])) as memory:
        return parse(EngineReady, memory.map[:])
