"""Shadow engine: a share of the requests is mirrored to it after their callers were answered, and compared."""

import asyncio
import logging
import random
from collections.abc import Callable

import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..errors import ServingError
from ..models.model_engine import ModelEngine
from ..stats.counter_store import CounterStore
from ..stats.shadow_deviation import Drift

log = logging.getLogger(__name__)
MOST_AT_ONCE = 8


class Mirror:
    """Mirrors requests to a shadow engine, for which no caller waits.

    Attributes:
        drift: The deviations.
        shadow: The shadow engine.
    """

    def __init__(
        self,
        shadow: ModelEngine,
        share: float,
        draw: Callable[[], float] = random.random,
        store: CounterStore | None = None,
        name: str = "",
    ) -> None:
        """Owns the engine from then on.

        Args:
            shadow: The shadow engine.
            share: The share of requests that is mirrored, from 0 to 1.
            draw: Gives random numbers from 0 up to 1.
            store: Counters of the deviations; by default a store of its own.
            name: The name of the version there.
        """
        manifest = shadow.info.manifest
        promised = {output: bounds.promised for output, bounds in manifest.tolerances.items()}
        self.drift = Drift(shadow.info.kind, promised, store, name)
        self._where = f"{manifest.model}/{manifest.version}"
        self.shadow = shadow
        self._share = share
        self._draw = draw
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, inputs: Arrays, outputs: Arrays) -> None:
        """Mirrors the request if it is drawn; returns at once."""
        if self._draw() >= self._share:
            return
        if len(self._tasks) >= MOST_AT_ONCE or not self.shadow.available:
            self.drift.skip()
            return
        task = asyncio.get_running_loop().create_task(self._compare(inputs, outputs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Returns when every mirrored request is compared."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def leave(self) -> None:
        """Gives up comparisons that are not done yet."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Gives up comparisons that are not done yet, and ends the engine."""
        self.leave()
        await self.shadow.stop(0)

    async def _compare(self, inputs: Arrays, outputs: Arrays) -> None:
        try:
            answers = await self.shadow.predict(inputs, None)
            by_output = await asyncio.to_thread(deviations, outputs, answers)
        except ServingError as error:
            self.drift.fail()
            log.info("%s: %s did not answer: %s", self._where, self.drift.engine, error)
        except Exception:
            self.drift.fail()
            log.exception("%s: comparing with %s failed", self._where, self.drift.engine)
        else:
            self.drift.record(by_output, self._where)


def deviations(outputs: Arrays, answers: Arrays) -> dict[str, float]:
    """max|output − answer| by name; infinity where the shapes differ, nothing where both are NaN."""
    return {name: _deviation(output, answers[name]) for name, output in outputs.items()}


def _deviation(output: Array, other: Array) -> float:
    if output.shape != other.shape:
        return float("inf")
    if output.dtype.kind == "f":
        both = np.isnan(output) & np.isnan(other)
        output, other = output[~both], other[~both]
    return tolerance.deviation(output, other)
