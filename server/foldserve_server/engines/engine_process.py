"""One model version on one device, in a process of its own: started, asked, restarted after a crash, stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.batch_stats import BatchStats

from ..core.errors import LoadFailed, Unavailable
from .arena import Slabs
from .calls import Calls
from .crashes import Crashes
from .dispatcher import Dispatcher
from .hangs import is_hang
from .launch import ENGINE_COMMAND, CandidateDied, Launched, launch
from .report import LoadReport
from .settings import EngineSettings

_log = logging.getLogger(__name__)
_LEAST_GRACE_S = 1.0


class EngineState(StrEnum):
    """What an engine process is, once it was put into service."""

    AVAILABLE = "AVAILABLE"
    RESTARTING = "RESTARTING"
    ENDED = "ENDED"


StateHook = Callable[[EngineState, str], None]


class EngineProcess:
    """A model version that answers predictions.

    Attributes:
        report: What the engine said when it was ready; renewed by a restart.
        state: Whether it answers now.
        restarts: How often it was started again after a crash.
        on_state: Called with every new state and its reason.
    """

    def __init__(self, path: Path, settings: EngineSettings, command: Sequence[str], launched: Launched) -> None:
        """Made by `start`."""
        self.report = LoadReport.of(launched, settings)
        self.state = EngineState.AVAILABLE
        self.on_state: StateHook | None = None
        self._path, self._settings, self._command = path, settings, command
        self._loop = asyncio.get_running_loop()
        self._crashes = Crashes(settings.restarts)
        slabs = Slabs(self.report.signature, self.report.max_batch_size, settings)
        ready = launched.ready
        self._calls = Calls(slabs.arena, ready.credit_rows, ready.credit_bytes, settings.max_request_bytes)
        self._dispatcher = Dispatcher(slabs, self._calls)
        self._launched = launched
        self._restarting: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._hung = self._stopping = False
        self._stats_before = BatchStats()
        self.restarts = 0
        try:
            self._enter(launched)
        except BaseException:
            self._stopping = True  # its end is no crash
            raise

    @classmethod
    async def start(
        cls, path: Path, settings: EngineSettings, *, command: Sequence[str] = ENGINE_COMMAND
    ) -> "EngineProcess":
        """Starts a process and returns once it is available: verified, warmed, golden samples answered.

        Cancelling this kills the candidate.

        Args:
            path: The version directory.
            settings: How it is to run.
            command: What is executed, the descriptor of the control socket following.

        Raises:
            LoadFailed: It must not serve; the message is the reason.
        """
        launched = await launch(path, settings, command)
        try:
            return cls(path, settings, command, launched)
        except OSError as error:
            await launched.discard()
            raise LoadFailed(f"there is no memory for its requests: {error}") from error
        except BaseException:
            await launched.discard()
            raise

    @property
    def available(self) -> bool:
        """Whether it takes requests now."""
        return self.state is EngineState.AVAILABLE and not self._stopping

    @property
    def stats(self) -> BatchStats:
        """What batches it was given, by this process and those before it."""
        return self._stats_before + self._launched.page.stats

    @property
    def queue(self) -> Calls:
        """What waits or is computed."""
        return self._calls

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """The outputs for one request.

        Cancelling this means that the caller has left: what is not computed yet never will be.

        Args:
            inputs: Arrays that fit the signature, as the caller has checked.
            deadline_ns: When the answer is of no use any more, on CLOCK_MONOTONIC.
            exact: Whether a row's bits must depend on nothing but the row, as they always do where the settings are
                deterministic.

        Returns:
            Arrays of the caller's own.

        Raises:
            QueueFull: Too many rows or bytes are waiting.
            ResourceExhausted: The request is larger than any may be.
            DeadlineExceeded: The deadline passed first.
            Unavailable: The engine is restarting or has ended, or crashed while it computed this request.
            EngineFailed: The engine could not compute it.
            InvalidRequest: An input has another dtype than the signature's.
        """
        return await self._dispatcher.predict(inputs, deadline_ns, exact or self._settings.deterministic)

    async def stop(self, grace_s: float) -> None:
        """Takes no more requests, answers what was accepted, and ends the process; kills it after the grace.

        Args:
            grace_s: Seconds that may take.
        """
        if not self._stopping:
            self._stopping = True
            self._dispatcher.refuse(Unavailable(f"{self._path} is being unloaded; try again", 0))
        end_s = self._loop.time() + grace_s
        try:
            await self._cancel_restart()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end_s):
                    await self._dispatcher.answered()
            self._dispatcher.fail(Unavailable("the engine was unloaded before the request was computed", 0))
            self._launched.connection.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(end_s, self._loop.time() + _LEAST_GRACE_S)):
                    await asyncio.shield(self._launched.child.exited)
        finally:
            self._launched.child.kill()
            await asyncio.shield(self._launched.child.exited)
            self._dispatcher.close()

    def _enter(self, launched: Launched) -> None:
        """Puts a process that is ready into service."""
        if launched is not self._launched:
            self._stats_before += self._launched.page.stats
        self._launched = launched
        self._hung = False
        launched.connection.on_end = launched.child.kill
        launched.child.exited.add_done_callback(lambda _: self._on_exit(launched))
        largest = launched.ready.warmed[-1]
        self._calls.seconds_per_row = largest.seconds / largest.rows
        self._dispatcher.attach(launched.connection)
        self._watch()

    def _watch(self) -> None:
        """Looks whether the batch that is running hangs, now and every interval from now."""
        policy = self._settings.watchdog
        launched = self._launched
        if is_hang(launched.page.running(), launched.ready.warmed, policy, time.monotonic_ns()):
            _log.error("the engine of %s hangs, and is killed", self._path)
            self._hung = True
            launched.child.kill()
        else:
            self._watchdog = self._loop.call_later(policy.interval_s, self._watch)

    def _on_exit(self, launched: Launched) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        launched.connection.on_end = lambda: None
        launched.connection.receive()  # what it answered before it died
        launched.connection.close()
        running = launched.page.running()
        reason = "the engine hung and was killed" if self._hung else launched.child.describe_exit()
        if self._stopping:
            self._dispatcher.detach((), Unavailable("the engine was unloaded"))
            self._dispatcher.fail(Unavailable("the engine was unloaded before the request was computed", 0))
            return
        _log.error("%s: %s", self._path, reason)
        self._crashed(reason, running.jobs if running else frozenset())

    def _crashed(self, reason: str, died: frozenset[tuple[int, int]]) -> None:
        """Answers the requests that were being computed, and starts again after a while unless it was too often."""
        delay_s = self._crashes.note(self._loop.time())
        if delay_s is None:
            self._end(f"it crashed {self._settings.restarts.limit} times in a short time; at last {reason}")
            return
        retry_ms = int(1000 * (delay_s + self.report.seconds))
        self._dispatcher.detach(died, Unavailable("the engine crashed and is being restarted", retry_ms))
        self._announce(EngineState.RESTARTING, reason)
        self._restarting = self._loop.create_task(self._restart(delay_s))

    async def _restart(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            launched = await launch(self._path, self._settings, self._command)
            report = await self._same_bundle(launched)
        except CandidateDied as error:
            self._crashed(str(error), frozenset())
        except LoadFailed as error:
            self._end(f"after a crash it was not put into service again: {error}")
        else:
            self.report = report
            self._reenter(launched)

    def _reenter(self, launched: Launched) -> None:
        try:
            self._enter(launched)
        except OSError:
            _log.exception("what waits cannot be given to the restarted engine of %s", self._path)
            launched.child.kill()  # a crash like any other
        else:
            self.restarts += 1
            self._announce(EngineState.AVAILABLE, "restarted after a crash")

    async def _same_bundle(self, launched: Launched) -> LoadReport:
        """The report on a restarted engine, if it has loaded what was served before; else it is ended."""
        try:
            report = LoadReport.of(launched, self._settings)
            if report.digest != self.report.digest:
                raise LoadFailed("another bundle was found in its place")
        except BaseException:
            await launched.discard()
            raise
        return report

    def _end(self, reason: str) -> None:
        refusal = Unavailable(f"the engine has ended: {reason}")
        self._dispatcher.detach((), refusal)
        self._dispatcher.fail(refusal)
        self._announce(EngineState.ENDED, reason)

    def _announce(self, state: EngineState, reason: str) -> None:
        self.state = state
        _log.log(logging.INFO if state is EngineState.AVAILABLE else logging.ERROR, "%s: %s", state, reason)
        if self.on_state is not None:
            try:
                self.on_state(state, reason)
            except Exception:
                _log.exception("whoever hears of the engine's state failed")

    async def _cancel_restart(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        if self._launched.child.exited.done():
            self._dispatcher.fail(Unavailable("the engine was unloaded before the request was computed", 0))
