"""How long a process has stood still, or something has been waited for, as its watcher sees it."""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import Any

_LONGEST_INTERVAL_S = 1.0
_LOOKS = 10  # within the time that is waited
Clock = Callable[[], float]


class StallTimer:
    """Adds up the time between looks for as long as they all see the same.

    A look that comes late adds no more than two intervals: its watcher was held up then, and what it watches most
    likely with it. After the whole server was stopped, or the machine stood still, everybody has time again.
    """

    def __init__(self, interval_s: float) -> None:
        """Looks are to come after every interval."""
        self._most_s = 2 * interval_s
        self._seen: Hashable = None
        self._looked_s = 0.0
        self._still_s = 0.0

    def look(self, seen: Hashable, now_s: float) -> float:
        """Seconds for which this was seen; 0 for None, which is nothing to be waited for."""
        if seen is not None and seen == self._seen:
            self._still_s += min(now_s - self._looked_s, self._most_s)
        else:
            self._still_s = 0.0
        self._seen, self._looked_s = seen, now_s
        return self._still_s


async def wait_while_running(
    work: Collection["asyncio.Future[Any]"],
    limit_s: float,
    return_when: str = asyncio.ALL_COMPLETED,
    clock: Clock | None = None,
) -> None:
    """As `asyncio.wait`, for so many seconds in which this process was running.

    While it is stopped, or the machine stands still, what it waits for most likely is too.

    Args:
        work: What is waited for; it is left as it is.
        limit_s: For how long, of the clock.
        return_when: See `asyncio.wait`.
        clock: Seconds; the event loop's by default.
    """
    now_s = clock or asyncio.get_running_loop().time
    interval_s = min(_LONGEST_INTERVAL_S, limit_s / _LOOKS)
    waited, done = StallTimer(interval_s), asyncio.ensure_future(asyncio.wait(work, return_when=return_when))
    waited.look(done, now_s())
    try:
        while not done.done():
            await asyncio.wait({done}, timeout=interval_s)
            if waited.look(done, now_s()) >= limit_s:
                break
    finally:
        done.cancel()
