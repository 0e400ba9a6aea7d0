"""Shared helpers of the tests of engine processes."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Array
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_server.engines import EngineSettings, EngineState, LocalEngine, RestartPolicy, WatchdogPolicy
from foldserve_server.engines.process.spawn import ENGINE_COMMAND
from tests.bundles import dense_model, signature_of
from tests.server.engines.fake_process import ENTERED, GATE

T = TypeVar("T")
REAL = ENGINE_COMMAND
FAKE = (sys.executable, "-P", str(Path(__file__).with_name("fake_process.py")), "--control")
SETTINGS = EngineSettings(
    threads=1,
    load_timeout_s=60,
    restarts=RestartPolicy(limit=5, window_s=60, first_delay_s=0.01, longest_delay_s=0.02),
    watchdog=WatchdogPolicy(least_s=60, factor=1000, interval_s=60),
)
PATIENCE_S = 60


def run(test: Coroutine[Any, Any, T]) -> T:
    """Runs a test on an event loop of its own, for a limited time."""

    async def limited() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await test

    return asyncio.run(limited())


@asynccontextmanager
async def started(path: Path, *, command: Sequence[str] = FAKE, **changes: Any) -> AsyncIterator[LocalEngine]:
    """An engine process that is stopped afterwards."""
    engine = await LocalEngine.start(path, replace(SETTINGS, **changes), command=command)
    try:
        yield engine
    finally:
        await engine.stop(0)


class Pipes:
    """The other ends of the fake engine's pipes."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent

    async def entered(self) -> None:
        """Returns when the engine computes a HOLD row."""
        await asyncio.to_thread((self._folder / ENTERED).read_bytes)

    async def release(self) -> None:
        """Lets it go on."""
        await asyncio.to_thread((self._folder / GATE).write_bytes, b".")


class States:
    """Hears of an engine's states."""

    def __init__(self, engine: LocalEngine) -> None:
        self.heard: list[tuple[EngineState, str]] = []
        self._news = asyncio.Event()
        engine.on_state = self._hear

    async def until(self, state: EngineState) -> str:
        """The reason of the next such state."""
        while not self.heard or self.heard[-1][0] is not state:
            self._news.clear()
            await self._news.wait()
        return self.heard[-1][1]

    def _hear(self, state: EngineState, reason: str) -> None:
        self.heard.append((state, reason))
        self._news.set()


def rows(*first: float) -> dict[str, Array]:
    """Inputs: one row for each number, which is its first feature."""
    return {"features": np.array([[value, 1, 2, 3] for value in first], np.float32).reshape(-1, 4)}


def in_ms(milliseconds: float) -> int:
    """A deadline."""
    return time.monotonic_ns() + int(milliseconds * 1e6)


def expected(path: Path, inputs: dict[str, Array]) -> Array:
    """Answers of the bundle's model in this process."""
    signature = signature_of(dense_model())
    return OnnxEngine.from_bytes((path / ONNX).read_bytes(), signature).run(inputs)["scores"]
