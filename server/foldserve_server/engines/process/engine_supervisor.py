"""Supervisor of one engine's process: watches it, restarts it after a crash, stops it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from foldserve_engine.link.batch_stats import BatchStats
from foldserve_engine.link.packets import PacketKind

from ...errors import LoadFailed, NotNow, ServingError, Unavailable
from ...system.stall_timer import StallTimer
from .. import refusals
from ..settings import EngineSettings
from .restart_policy import RestartBackoff
from .spawn import EngineStartFailed, LaunchedEngine, launch
from .watchdog import is_hang

_log = logging.getLogger(__name__)
_LEAST_GRACE_S = 1.0


class EngineState(StrEnum):
    """State of an engine that was put into service."""

    AVAILABLE = "AVAILABLE"
    RESTARTING = "RESTARTING"
    ENDED = "ENDED"


class QueueState(Protocol):
    """Requests that wait or are computed, and their limits."""

    @property
    def requests(self) -> int:
        """Number of requests."""

    rows: int
    bytes: int
    max_rows: int
    max_bytes: int


StateHook = Callable[[EngineState, str], None]


class EngineCallers(Protocol):
    """Callers of an engine, in this process or in front ends."""

    def join(self, launched: LaunchedEngine) -> None:
        """Takes a process that is ready: from now on it gets the requests.

        Raises:
            OSError: It cannot be taken.
        """

    def lost(self, refusal: Unavailable) -> None:
        """Handles the end of the process: requests that it was computing, and new ones, end with the refusal."""

    def refuse(self, refusal: Unavailable) -> None:
        """Refuses new requests."""

    def fail(self, error: ServingError) -> None:
        """Ends every waiting request with an error."""

    async def answered(self) -> None:
        """Returns once no request is waiting."""

    def close(self) -> None:
        """Releases what was held for the engine."""


class EngineSupervisor:
    """The processes of one engine, one after the other.

    Attributes:
        report: Its load report; renewed by a restart.
        state: Whether it answers now.
        restarts: Number of restarts after crashes.
        on_state: Called with every new state and its reason.
    """

    def __init__(
        self,
        path: Path,
        settings: EngineSettings,
        command: Sequence[str],
        launched: LaunchedEngine,
        callers: EngineCallers,
    ) -> None:
        """Takes over a process that was started with these settings, for those callers."""
        self.report = launched.report
        self.state = EngineState.AVAILABLE
        self.on_state: StateHook | None = None
        self._path, self._settings, self._command = path, settings, command
        self._loop = asyncio.get_running_loop()
        self._crashes = RestartBackoff(settings.restarts)
        self._callers = callers
        self._launched = launched
        self._restarting: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._stall_timer = StallTimer(settings.watchdog.interval_s)
        self._hung = self._stopping = False
        self.restarts = 0
        try:
            self._enter(launched)
        except BaseException:
            self._stopping = True  # its end is not a crash
            raise

    @property
    def available(self) -> bool:
        """True if it accepts requests now."""
        return self.state is EngineState.AVAILABLE and not self._stopping

    @property
    def stats(self) -> BatchStats:
        """Statistics of its batches, by this process and those before it."""
        return self._launched.status.stats

    @property
    def batches(self) -> int:
        """Number of batches that the process has begun."""
        return self._launched.status.batches

    @property
    def computing(self) -> int:
        """Number of requests in the running batch."""
        return self._launched.status.computing

    async def stop(self, grace_s: float) -> None:
        """Accepts no more requests, answers those that were accepted, and ends the process; kills it after the grace.

        Args:
            grace_s: Seconds that this may take.
        """
        if not self._stopping:
            self._stopping = True
            self._callers.refuse(refusals.unloading(self._path))
        end_s = self._loop.time() + grace_s
        try:
            await self._cancel_restart()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end_s):
                    await self._callers.answered()
            self._callers.fail(refusals.unloaded())
            self._launched.connection.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(end_s, self._loop.time() + _LEAST_GRACE_S)):
                    await asyncio.shield(self._launched.child.exited)
        finally:
            self._launched.child.kill()
            await asyncio.shield(self._launched.child.exited)
            self._callers.close()

    def _enter(self, launched: LaunchedEngine) -> None:
        """Puts a process that is ready into service."""
        self._launched = launched
        self._hung = False
        launched.connection.on_end = launched.child.kill
        launched.child.exited.add_done_callback(lambda _: self._on_exit(launched))
        self._callers.join(launched)
        self._watch()

    def _watch(self) -> None:
        """Kills the process if it hangs, now and after every interval."""
        policy, launched = self._settings.watchdog, self._launched
        running, turns = launched.status.running(), launched.status.turns
        still_s = self._stall_timer.observe((launched.epoch, turns, running and running.started_ns), self._loop.time())
        if is_hang(still_s, running, launched.ready.warmed, policy):
            _log.error("the engine of %s hangs, and is killed", self._path)
            self._hung = True
            launched.child.kill()
            return
        if running is None and not still_s:
            launched.connection.put(
                PacketKind.PING, b"", at_once=True
            )  # so that its turn counter moves before the next check
        self._watchdog = self._loop.call_later(policy.interval_s, self._watch)

    def _on_exit(self, launched: LaunchedEngine) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        launched.close()
        reason = "the engine hung and was killed" if self._hung else launched.child.describe_exit()
        if self._stopping:
            self._callers.lost(refusals.unloaded())
            self._callers.fail(refusals.unloaded())
            return
        _log.error("%s: %s", self._path, reason)
        self._crashed(reason)

    def _crashed(self, reason: str) -> None:
        """Answers the requests that were being computed, and starts again after a while unless it was too often."""
        delay_s = self._crashes.note(self._loop.time())
        if delay_s is None:
            self._end(f"it crashed {self._settings.restarts.limit} times in a short time; at last {reason}")
            return
        self._start_later(reason, delay_s)

    def _start_later(self, reason: str, delay_s: float) -> None:
        self._callers.lost(refusals.restarting(delay_s, self.report.seconds))
        self._announce(EngineState.RESTARTING, reason)
        self._restarting = self._loop.create_task(self._restart(delay_s))

    async def _restart(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            launched = await launch(self._path, self._settings, self._command, self._launched)
            await self._require_same_bundle(launched)
        except NotNow as error:  # no crash, and no reason to give up a version that has done nothing wrong
            self._start_later(str(error), self._settings.restarts.longest_delay_s)
        except EngineStartFailed as error:
            self._crashed(str(error))
        except LoadFailed as error:
            self._end(f"after a crash it was not put into service again: {error}")
        else:
            self.report = launched.report
            self._reenter(launched)

    def _reenter(self, launched: LaunchedEngine) -> None:
        try:
            self._enter(launched)
        except OSError:
            _log.exception("what waits cannot be given to the restarted engine of %s", self._path)
            launched.child.kill()  # a crash like any other
        else:
            self.restarts += 1
            self._announce(EngineState.AVAILABLE, "restarted after a crash")

    async def _require_same_bundle(self, launched: LaunchedEngine) -> None:
        """Discards a restarted process that has loaded another bundle than the one that was served.

        Raises:
            LoadFailed: It has.
        """
        if launched.report.digest != self.report.digest:
            await launched.discard()
            raise LoadFailed("another bundle was found in its place")

    def _end(self, reason: str) -> None:
        refusal = Unavailable(f"the engine has ended: {reason}")
        self._callers.lost(refusal)
        self._callers.fail(refusal)
        self._announce(EngineState.ENDED, reason)

    def _announce(self, state: EngineState, reason: str) -> None:
        self.state = state
        _log.log(logging.INFO if state is EngineState.AVAILABLE else logging.ERROR, "%s: %s", state, reason)
        if self.on_state is not None:
            try:
                self.on_state(state, reason)
            except Exception:
                _log.exception("the callback for the engine's state failed")

    async def _cancel_restart(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        if self._launched.child.exited.done():
            self._callers.fail(refusals.unloaded())
