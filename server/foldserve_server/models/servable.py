"""One version of a model on its way from START to END."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from ..errors import Unavailable
from ..stats.model_stats import ModelStats
from .engine import ModelEngine

_serials = itertools.count(1)


class ServableState(IntEnum):
    """TensorFlow Serving's states, with the numbers of its `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Servable:
    """A version, the state it is in and the callers it is answering.

    Attributes:
        failed: Whether END means that it could not be put into or kept in service.
        cause: The kind of that failure in a word.
        reason: What operators should know: why it failed, or why its replacement was refused.
        tally: What it has answered.
        serial: Tells it from every other of this process.
    """

    def __init__(self, name: str, version: int, tally: ModelStats | None = None) -> None:
        self.serial = next(_serials)
        self.name = name
        self.version = version
        self.state = ServableState.START
        self.failed = False
        self.cause = ""
        self.reason = ""
        self.tally = tally or ModelStats()
        self._engine: ModelEngine | None = None
        self._callers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def available(self) -> bool:
        """Whether it answers at this moment."""
        return self.state is ServableState.AVAILABLE and self._engine is not None and self._engine.available

    @property
    def engine(self) -> ModelEngine:
        """What answers.

        Raises:
            Unavailable: Nothing does, yet or any more.
        """
        if self._engine is None:
            raise Unavailable(f"{self} is not loaded")
        return self._engine

    @property
    def held(self) -> ModelEngine | None:
        """Its engine, if it has one."""
        return self._engine

    @property
    def message(self) -> str:
        """What its status tells: the reason, and where it serves, in which batches it computes."""
        batches = (
            self._engine.info.batches if self._engine is not None and self.state is ServableState.AVAILABLE else ""
        )
        return "; ".join(part for part in (self.reason, batches) if part)

    def load(self) -> None:
        """Its engine is being started."""
        self.state = ServableState.LOADING

    def serve(self, engine: ModelEngine) -> None:
        """Its engine has passed the gate."""
        self._engine = engine
        self.state = ServableState.AVAILABLE

    def unload(self) -> None:
        """It takes no new callers."""
        self.state = ServableState.UNLOADING

    def end(self, failure: str | None = None, cause: str = "") -> None:
        """It is over; with the failure that ended it, if one did."""
        self.state = ServableState.END
        self.failed = failure is not None
        self.reason, self.cause = failure or "", cause
        self._engine = None

    def become(self, state: ServableState, failed: bool, reason: str, cause: str, engine: ModelEngine | None) -> None:
        """Takes over what another process says of it."""
        self.state, self.failed = state, failed
        self.reason, self.cause, self._engine = reason, cause, engine

    @contextmanager
    def lease(self) -> Iterator[ModelEngine]:
        """Its engine, which is not stopped before the caller is done."""
        engine = self.engine
        self._callers += 1
        self._idle.clear()
        try:
            yield engine
        finally:
            self._callers -= 1
            if not self._callers:
                self._idle.set()

    async def drained(self) -> None:
        """Returns when nobody is waiting for an answer of it."""
        await self._idle.wait()
