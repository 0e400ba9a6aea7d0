"""Progress of an export: its steps are announced to a listener and timed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class ProgressListener(Protocol):
    """Listener for the steps of an export, such as a progress display."""

    def step(self, name: str) -> None:
        """Called when a step begins."""

    def detail(self, text: str) -> None:
        """Called when a part of the current step begins."""


class NoProgress:
    """Listener that ignores every step."""

    def step(self, name: str) -> None:
        """Does nothing."""

    def detail(self, text: str) -> None:
        """Does nothing."""


@dataclass
class CurrentStep:
    """Listener that keeps the name of the step in progress, and passes everything on to another.

    Attributes:
        name: The step's name.
        listener: The other listener.
    """

    name: str = "start"
    listener: ProgressListener = field(default_factory=NoProgress)

    def step(self, name: str) -> None:
        """Keeps the name."""
        self.name = name
        self.listener.step(name)

    def detail(self, text: str) -> None:
        """Passes the part on."""
        self.listener.detail(text)


@dataclass
class StepTimer:
    """Announces steps to a listener and measures their duration.

    Attributes:
        progress: The listener.
        seconds: Duration of every finished step, also of one that failed.
    """

    progress: ProgressListener
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces a step and measures it, also where it fails."""
        self.progress.step(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 3)
