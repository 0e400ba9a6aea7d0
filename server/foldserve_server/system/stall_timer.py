"""Time between unchanged observations of a process, as its watcher sees it."""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import Any

_LONGEST_INTERVAL_S = 1.0
_CHECKS = 10  # within the time that is waited
Clock = Callable[[], float]


class StallTimer:
    """Accumulates time between unchanged observations; late observations count at most twice the interval.

    When an observation comes late, its watcher was held up, and what it watches most likely with it. After the whole
    server was stopped, or the machine stood still, every process has its full time again.
    """

    def __init__(self, interval_s: float) -> None:
        """Observations are to come after every interval."""
        self._most_s = 2 * interval_s
        self._last: Hashable = None
        self._observed_s = 0.0
        self._stalled_s = 0.0

    def observe(self, value: Hashable, now_s: float) -> float:
        """Seconds for which this value was observed; 0 for None, which stands for nothing to wait for."""
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
    """Waits as `asyncio.wait` does, for so many seconds in which this process was running.

    While it is stopped, or the machine stands still, the work most likely is too.

    Args:
        work: The futures; they are left as they are.
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
