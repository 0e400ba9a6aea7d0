"""Where an export stands, told to whoever wants to show it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Somebody who shows the steps of an export."""

    def step(self, name: str) -> None:
        """A step begins."""

    def detail(self, text: str) -> None:
        """Something within the step begins."""


class Silent:
    """Shows nothing."""

    def step(self, name: str) -> None:
        """Nothing to show."""

    def detail(self, text: str) -> None:
        """Nothing to show."""


@dataclass
class Steps:
    """Announces steps and measures them.

    Attributes:
        progress: Who is told.
        seconds: How long each finished step took.
    """

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, measured also where it fails."""
        self.progress.step(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - began, 3)
