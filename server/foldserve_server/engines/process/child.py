"""An operating system process that was started by this one."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from .child_log import ChildLog


class ChildProcess:
    """A process in a session of its own; the running event loop notices its end and logs its output.

    Nothing is forked beside threads: the process is made by `subprocess` with neither `fork` nor `preexec_fn`.
    """

    def __init__(
        self, command: Sequence[str], descriptor: int, name: str = "the engine process", *, logged: bool = True
    ) -> None:
        """Starts the command; it inherits the one descriptor, and this thread must outlive it.

        Args:
            command: The command that is executed, the number of the descriptor following.
            descriptor: The descriptor that it inherits.
            name: Its name in messages.
            logged: Whether its output goes to this process's log; else it goes where this process's own goes.
        """
        self._name = name
        reader, writer = os.pipe() if logged else (-1, None)
        try:
            self._process = subprocess.Popen(
                [*command, str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        except BaseException:
            if logged:
                os.close(reader)
            raise
        finally:
            if writer is not None:
                os.close(writer)
        self.pid = self._process.pid
        self.log = ChildLog(reader, self.pid) if logged else None
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    def kill(self) -> None:
        """Ends the process at once, if it has not ended."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stops the process until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continues the process."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def describe_exit(self) -> str:
        """The way in which the process ended, and the last lines that it printed."""
        status = self.exited.result()
        how = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        words = self.log.last_words() if self.log is not None else ""
        return f"{self._name} {how}" + (f"; its last words: {words}" if words else "")

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._process.wait()
        if self.log is not None:
            self.log.close()
        self.exited.set_result(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
