"""One front end's place: the process that sits there, and the next one after a crash."""

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
FRONT_COMMAND = (sys.executable, "-P", "-m", "foldserve_server.frontends.worker.front_end", "--control")
STARTING_S = 60.0


class ProcessOwner(Protocol):
    """Where the seats are."""

    def heard(self, resident: "FrontEndProcess", document: Any) -> None:
        """A front end says something that concerns others."""

    def hand(self, resident: "FrontEndProcess") -> int:
        """Bytes of the messages that a front end has taken in hand since it last answered."""

    def gone(self, resident: "FrontEndProcess", reason: str) -> None:
        """A front end's process has ended."""


class FrontEndProcess:
    """One process of a front end, from its start to its end.

    Attributes:
        front: Its number; no other ever has it.
        seat: Its place.
        post: What it is told by.
        engines: The engines that it may ask.
        counts: Whether it answers callers, so that a change is made only when it has adopted it.
        listening: Whether it said so.
        rest_port: Where its REST interface is.
        refused: Why it cannot listen.
    """

    def __init__(
        self, front: int, seat: int, house: ProcessOwner, patience: HeartbeatPolicy, command: Sequence[str]
    ) -> None:
        """Starts a process.

        Raises:
            OSError: It cannot be started.
        """
        self.front, self.seat = front, seat
        self.engines: set[int] = set()
        self.counts = self.listening = False
        self.rest_port: int | None = None
        self.refused: str | None = None
        self._house = house
        self._patience = patience
        self._pulse = Heartbeat(patience)
        self._starting = StallTimer(patience.interval_s)
        self._adopted = self._told = 0
        self._pings = self._pongs = 0
        self._late: str | None = None
        self._loop = asyncio.get_running_loop()
        ours, theirs = pair()
        with theirs:
            try:
                self.child = ChildProcess(command, theirs.fileno(), f"front end {front}", logged=False)
            except BaseException:
                ours.close()
                raise
        self.post = MessageChannel(ours, self._on_document, self.child.kill)
        self.child.exited.add_done_callback(self._on_exit)
        self._looking: asyncio.Handle = self._loop.call_soon(self._look)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.child.pid

    def tell(self, table: TableSnapshot) -> None:
        """Gives it a table, which it must adopt in time once it answers callers."""
        self._told = table.epoch
        self.post.send(table)

    def answers_by(self, epoch: int) -> bool:
        """Whether nobody is answered by an older table."""
        return not self.counts or self._adopted >= epoch

    def stop(self, grace_s: float) -> None:
        """Asks it to answer whom it has, and to end."""
        self.post.send(Stop(grace_s))

    def _look(self) -> None:
        """Ends it if it stands still, now and every interval from now; asks it to show that it does not."""
        now_s = self._loop.time()
        missed_s = self._pulse.missed(self._owed, cpu_seconds(self.pid), self._house.hand(self), now_s)
        if self._starting.look(None if self.listening else STARTING_S, now_s) > STARTING_S:
            self._give_up(f"did not listen within {STARTING_S:g} s")
        elif missed_s is not None:
            self._give_up(f"did not answer its supervisor within {missed_s:g} s")
        else:
            if self.counts and self._owed is None:
                self._pings += 1
                self.post.send(Ping(self._pings))
            self._looking = self._loop.call_later(self._patience.interval_s, self._look)

    @property
    def _owed(self) -> tuple[int, int] | None:
        """How far it has come where it has not answered all that it was told; None where it has."""
        come = (self._adopted, self._pongs)
        return None if not self.counts or come == (self._told, self._pings) else come

    def _give_up(self, why: str) -> None:
        log.error("front end %d %s, and is ended", self.front, why)
        self._late = why
        self.child.kill()

    def _on_document(self, document: Any, descriptors: Sequence[int]) -> None:
        close_all(descriptors)
        if isinstance(document, TableAck):
            self._adopt(document.epoch)
        elif isinstance(document, Pong):
            self._pongs = document.number
            return  # nobody else is concerned
        elif isinstance(document, Listening):
            self.listening, self.rest_port = True, document.rest_port
            log.info("front end %d listens (pid %d)", self.front, self.pid)
        elif isinstance(document, ListenFailed):
            self.refused = document.reason
            self.child.kill()
        self._house.heard(self, document)

    def _adopt(self, epoch: int) -> None:
        self._adopted = epoch
        if not self.counts and epoch == self._told:
            self.counts = True  # whatever is changed from now on waits for it
            self.post.send(StartListening())

    def _on_exit(self, _: "asyncio.Future[int]") -> None:
        self._looking.cancel()
        self.post.close()
        how = self.child.describe_exit()
        self._house.gone(self, self.refused or (f"{how}: it {self._late}" if self._late else how))
