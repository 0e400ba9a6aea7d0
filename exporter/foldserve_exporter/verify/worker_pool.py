"""Starts and feeds the fresh processes. They start while the model is being folded: importing takes seconds."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .job import WorkerKind

TIMEOUT_S = 3600.0
_TAIL = 2000


class VerificationWorker:
    """One fresh process; it is given one job."""

    def __init__(self, kind: WorkerKind) -> None:
        """Starts the process, which imports its libraries and waits."""
        self.kind = kind
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "foldserve_exporter.verify.worker", kind],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )

    def send_job(self, folder: Path) -> None:
        """Hands the job over and returns at once; a process that has ended is found out by `wait`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def wait(self) -> str | None:
        """Waits for the end; None when it ended well, else what it said last."""
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"the {self.kind} process took longer than {TIMEOUT_S:,.0f} s"
        return None if code == 0 else f"the {self.kind} process ended with code {code}: {self._tail()}"

    def close(self) -> None:
        """Ends the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._log.close()

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-_TAIL:].strip()


@contextmanager
def started_workers() -> Iterator[tuple[VerificationWorker, ...]]:
    """One worker of each kind, ended whatever happens."""
    workers = tuple(VerificationWorker(kind) for kind in WorkerKind)
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()
