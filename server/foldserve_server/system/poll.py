"""Periodic checks that survive their own failures."""

import logging
from collections.abc import Awaitable, Callable

Wait = Callable[[float], Awaitable[None]]


async def poll(
    check: Callable[[], Awaitable[None]], what: str, interval_s: float, log: logging.Logger, wait: Wait
) -> None:
    """Runs a check after every interval; never where it is 0, as in TensorFlow Serving.

    Args:
        check: Checks once.
        what: The thing that is checked, for the log.
        interval_s: Seconds between two checks.
        log: Receives the failures of checks. The next check follows after any failure.
        wait: Waits so many seconds.
    """
    while interval_s > 0:
        await wait(interval_s)
        try:
            await check()
        except Exception:  # the versions in service are not affected
            log.exception("looking at %s failed", what)
