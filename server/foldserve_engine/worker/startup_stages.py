"""Result of an engine's start, and the seconds of each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..link.handshake import EngineReady
from ..protocol import Engine


@dataclass(frozen=True, slots=True)
class StartedEngine:
    """An engine that was loaded, warmed and checked, and what to report of it."""

    engine: Engine
    ready: EngineReady


@dataclass(slots=True)
class StageTimer:
    """Seconds of each stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures what is done inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start
