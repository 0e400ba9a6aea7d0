"""Worker processes of the verification, started while the model is being folded, as importing takes seconds."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .job import WorkerKind

TIMEOUT_S = 3600.0


class WorkerFailed(RuntimeError):
    """A worker process ended on its own, with an error that is not an artifact's; its output is a note."""


class VerificationWorker:
    """A worker process, which does one job."""

    def __init__(self, kind: WorkerKind, environment: Mapping[str, str] | None = None) -> None:
        """Starts the process, which imports its libraries and waits; `environment` is set for it in addition."""
        self.kind = kind
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "foldserve_exporter.verify.worker", kind],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=os.environ | dict(environment or {}),
        )

    def send_job(self, folder: Path) -> None:
        """Sends the job's folder and returns at once; `wait` reports a process that has already ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def wait(self) -> str | None:
        """Waits for the end of the process; None where its exit code is 0, else a message.

        Raises:
            WorkerFailed: The process ended with an error of its own.
        """
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"the {self.kind} process took longer than {TIMEOUT_S:,.0f} s"
        if code > 0:
            raise self._failure(code)
        return _killed(self.kind, -code) if code else None

    def close(self) -> None:
        """Kills the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._log.close()

    def _failure(self, code: int) -> WorkerFailed:
        self._log.seek(0)
        output = self._log.read().decode(errors="replace").strip()
        last = output.splitlines()[-1] if output else "it printed nothing"
        failure = WorkerFailed(f"the {self.kind} process ended with code {code}: {last}")
        failure.add_note(output)
        return failure


def _killed(kind: WorkerKind, number: int) -> str:
    """The message for a process that a signal ended."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    hint = ", as the system does where memory runs out" if number == signal.SIGKILL else ""
    return f"the {kind} process was ended by {name}{hint}"


@contextmanager
def started_workers() -> Iterator[tuple[VerificationWorker, ...]]:
    """Starts one worker of each kind, and kills what still runs at the end of the `with` block."""
    workers = tuple(VerificationWorker(kind) for kind in WorkerKind)
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()
