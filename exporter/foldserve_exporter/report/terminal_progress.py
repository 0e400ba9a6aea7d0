"""The steps of an export on a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

STEPS = ("load", "fold", "trace", "emit", "reference", "diagnose", "verify", "report", "seal")


class TerminalProgress:
    """Progress on standard error: a line for each step, with a spinner and its duration; nothing unless enabled."""

    def __init__(self, *, enabled: bool) -> None:
        """Prepares the display; it starts when the context is entered."""
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not enabled)
        self._name = ""

    def __enter__(self) -> Self:
        """Starts the display."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Marks the last step as finished where there was no error, and stops the display."""
        if error is None:
            self._finish()
        self._progress.stop()

    def step(self, name: str) -> None:
        """Marks the step before as finished and shows the next."""
        self._finish()
        self._name = f"{STEPS.index(name) + 1}/{len(STEPS)} {name}"
        self._task = self._progress.add_task(self._name, total=1)

    def detail(self, text: str) -> None:
        """Shows the part of the current step that is running."""
        self._progress.update(self._task, description=f"{self._name}: {text}")

    def _finish(self) -> None:
        if self._name:
            self._progress.update(self._task, completed=1, description=self._name)
