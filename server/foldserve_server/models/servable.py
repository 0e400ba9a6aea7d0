"""Version of a model, from START to END."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from ..errors import Unavailable
from ..stats.model_stats import ModelStats
from .model_engine import ModelEngine

_serials = itertools.count(1)


class ServableState(IntEnum):
    """TensorFlow Serving's states, with the numbers of its `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class ServableStatus:
    """The state of a version, replaced as a whole.

    Attributes:
        failed: Whether END means that the version could not be put into or kept in service.
        cause: The kind of that failure in a word.
        reason: For operators: why it failed, or why its replacement was refused.
        engine: The engine that answers; None before it is AVAILABLE and after its END.
    """

    state: ServableState = ServableState.START
    failed: bool = False
    cause: str = ""
    reason: str = ""
    engine: ModelEngine | None = None


class Servable:
    """A version: its status, which `Table` alone changes, and the callers that it is answering.

    Attributes:
        serial: A number that no other version of this process has.
        stats: Counts of its answers.
    """

    def __init__(self, name: str, version: int, stats: ModelStats | None = None) -> None:
        self.serial = next(_serials)
        self.name = name
        self.version = version
        self.stats = stats or ModelStats()
        self._status = ServableStatus()
        self._callers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def status(self) -> ServableStatus:
        """State, failure and engine."""
        return self._status

    @property
    def state(self) -> ServableState:
        """See `ServableStatus`."""
        return self._status.state

    @property
    def failed(self) -> bool:
        """See `ServableStatus`."""
        return self._status.failed

    @property
    def cause(self) -> str:
        """See `ServableStatus`."""
        return self._status.cause

    @property
    def reason(self) -> str:
        """See `ServableStatus`."""
        return self._status.reason

    @property
    def engine(self) -> ModelEngine:
        """The engine that answers.

        Raises:
            Unavailable: None does, yet or any more.
        """
        if self._status.engine is None:
            raise Unavailable(f"{self} is not loaded")
        return self._status.engine

    @property
    def available(self) -> bool:
        """True if it answers at this moment."""
        status = self._status
        return status.state is ServableState.AVAILABLE and status.engine is not None and status.engine.available

    @property
    def message(self) -> str:
        """The text of its status: the reason and, where it serves, the sizes of its batches."""
        status = self._status
        serves = status.engine is not None and status.state is ServableState.AVAILABLE
        batches = status.engine.info.batches if status.engine is not None and serves else ""
        return "; ".join(part for part in (status.reason, batches) if part)

    def enter(self, status: ServableStatus) -> None:
        """Replaces the status. For `Table` alone, which has routes to keep in step."""
        self._status = status

    @contextmanager
    def lease(self) -> Iterator[ModelEngine]:
        """Gives its engine, which is not stopped before the caller is done."""
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
        """Returns when no caller is waiting for an answer of it."""
        await self._idle.wait()
