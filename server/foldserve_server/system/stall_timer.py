"""Stall detection that does not count time in which the observing process itself did not run."""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import Any

_LONGEST_INTERVAL_S = 1.0
_CHECKS = 10  # within the time limit
Clock = Callable[[], float]


class StallTimer:
    """Accumulates time between unchanged observations; late observations count at most twice the interval.

    When an observation comes late, the observing process was held up, and most likely the observed process too. After
    the whole server was stopped, or the machine suspended, every process has its full time again.
    """

    def __init__(self, interval_s: float) -> None:
        """`interval_s` is the expected time between two observations."""
        self._most_s = 2 * interval_s
        self._last: Hashable = None
        self._observed_s = 0.0
        self._stalled_s = 0.0

    def observe(self, value: Hashable, now_s: float) -> float:
        """Returns the seconds for which this value was observed; 0 for None, which means that nothing is pending."""
        if value is not None and value == self._last:
            self._stalled_s += min(now_s - self._observed_s, self._most_s)
        else:
            self._stalled_s = 0.0
        self._last, self._observed_s = value, now_s
        return self._stalled_s


async def wait_while_running(
    work: Collection["asyncio.Future[Any]"],
    limit_s: float,
    return_when: str = asyncio.ALL_COMPLETED,
    clock: Clock | None = None,
) -> None:
    """Waits as `asyncio.wait` does, for at most `limit_s` seconds in which this process was running.

    While the process is stopped, or the machine suspended, the work most likely stands still too.

    Args:
        work: The futures; they are not cancelled.
        limit_s: Seconds of the clock.
        return_when: See `asyncio.wait`.
        clock: Seconds; the event loop's by default.
    """
    now_s = clock or asyncio.get_running_loop().time
    interval_s = min(_LONGEST_INTERVAL_S, limit_s / _CHECKS)
    timer, done = StallTimer(interval_s), asyncio.ensure_future(asyncio.wait(work, return_when=return_when))
    timer.observe(done, now_s())
    try:
        while not done.done():
            await asyncio.wait({done}, timeout=interval_s)
            if timer.observe(done, now_s()) >= limit_s:
                break
    finally:
        done.cancel()
