"""Process of a front end: started, watched by heartbeats, killed where it hangs."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from foldserve_engine.link.channel import pair

from ...engines.process.child import ChildProcess
from ...system.stall_timer import StallTimer
from ..heartbeat import Heartbeat, HeartbeatPolicy, cpu_seconds
from ..message_channel import MessageChannel, close_all
from ..messages import ListenFailed, Listening, Ping, Pong, StartListening, Stop, TableAck, TableSnapshot

log = logging.getLogger(__name__)
FRONT_END_COMMAND = (sys.executable, "-P", "-m", "foldserve_server.frontends.front_end.front_end", "--control")
STARTING_S = 60.0


class ProcessOwner(Protocol):
    """The pool that a front-end process reports to."""

    def on_message(self, front_end: "FrontEndProcess", message: Any) -> None:
        """Handles a message that concerns others than the process itself."""

    def busy_bytes(self, front_end: "FrontEndProcess") -> int:
        """Bytes of the messages that the front end has begun to read or write since its last heartbeat."""

    def on_exit(self, front_end: "FrontEndProcess", reason: str) -> None:
        """Handles the end of the process."""


class FrontEndProcess:
    """Process of a front end, from its start to its end.

    Attributes:
        number: Its number; no other process ever has it.
        slot: The slot it fills.
        channel: The channel on which it gets messages.
        engines: Numbers of the engines that it may ask.
        is_serving: Whether it answers callers, so that a change is complete only when it has acknowledged it.
        listening: Whether it has reported that it listens.
        rest_port: The port of its REST interface.
        refused: The reason why it cannot listen.
    """

    def __init__(
        self, number: int, slot: int, owner: ProcessOwner, policy: HeartbeatPolicy, command: Sequence[str]
    ) -> None:
        """Starts a process.

        Raises:
            OSError: It cannot be started.
        """
        self.number, self.slot = number, slot
        self.engines: set[int] = set()
        self.is_serving = self.listening = False
        self.rest_port: int | None = None
        self.refused: str | None = None
        self._owner = owner
        self._policy = policy
        self._heartbeat = Heartbeat(policy)
        self._starting = StallTimer(policy.interval_s)
        self._acknowledged = self._sent = 0
        self._pings = self._pongs = 0
        self._fault: str | None = None
        self._loop = asyncio.get_running_loop()
        ours, theirs = pair()
        with theirs:
            try:
                self.child = ChildProcess(command, theirs.fileno(), f"front end {number}", logged=False)
            except BaseException:
                ours.close()
                raise
        self.channel = MessageChannel(ours, self._on_message, self.child.kill)
        self.child.exited.add_done_callback(self._on_exit)
        self._checking: asyncio.Handle = self._loop.call_soon(self._check)

    @property
    def pid(self) -> int:
        """The process's number in the operating system."""
        return self.child.pid

    def send_table(self, table: TableSnapshot) -> None:
        """Sends a table, which it must acknowledge in time once it answers callers."""
        self._sent = table.epoch
        self.channel.send(table)

    def has_adopted(self, epoch: int) -> bool:
        """Tests whether none of its callers is answered by an older table."""
        return not self.is_serving or self._acknowledged >= epoch

    def stop(self, grace_s: float) -> None:
        """Asks it to answer the callers that wait, and to end."""
        self.channel.send(Stop(grace_s))

    def _check(self) -> None:
        """Kills it if it hangs, now and after every interval; else asks for the next heartbeat."""
        now_s = self._loop.time()
        busy_bytes = self._owner.busy_bytes(self)
        overdue_s = self._heartbeat.overdue(self._awaited, cpu_seconds(self.pid), busy_bytes, now_s)
        if self._starting.observe(None if self.listening else STARTING_S, now_s) > STARTING_S:
            self._kill(f"did not listen within {STARTING_S:g} s")
        elif overdue_s is not None:
            self._kill(f"did not answer its supervisor within {overdue_s:g} s")
        else:
            if self.is_serving and self._awaited is None:
                self._pings += 1
                self.channel.send(Ping(self._pings))
            self._checking = self._loop.call_later(self._policy.interval_s, self._check)

    @property
    def _awaited(self) -> tuple[int, int] | None:
        """Progress of its answers while some are missing; None where none is."""
        answered = (self._acknowledged, self._pongs)
        return None if not self.is_serving or answered == (self._sent, self._pings) else answered

    def _kill(self, fault: str) -> None:
        log.error("front end %d %s, and is ended", self.number, fault)
        self._fault = fault
        self.child.kill()

    def _on_message(self, message: Any, descriptors: Sequence[int]) -> None:
        close_all(descriptors)
        if isinstance(message, TableAck):
            self._adopt(message.epoch)
        elif isinstance(message, Pong):
            self._pongs = message.number
            return  # concerns nobody else
        elif isinstance(message, Listening):
            self.listening, self.rest_port = True, message.rest_port
            log.info("front end %d listens (pid %d)", self.number, self.pid)
        elif isinstance(message, ListenFailed):
            self.refused = message.reason
            self.child.kill()
        self._owner.on_message(self, message)

    def _adopt(self, epoch: int) -> None:
        self._acknowledged = epoch
        if not self.is_serving and epoch == self._sent:
            self.is_serving = True  # whatever changes from now on waits for it
            self.channel.send(StartListening())

    def _on_exit(self, _: "asyncio.Future[int]") -> None:
        self._checking.cancel()
        self.channel.close()
        exit_text = self.child.describe_exit()
        self._owner.on_exit(self, self.refused or (f"{exit_text}: it {self._fault}" if self._fault else exit_text))
