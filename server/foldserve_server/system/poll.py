"""Looks at what may change, again and again."""

import logging
from collections.abc import Awaitable, Callable

Wait = Callable[[float], Awaitable[None]]


async def poll(
    look: Callable[[], Awaitable[None]], what: str, interval_s: float, log: logging.Logger, wait: Wait
) -> None:
    """Looks after every interval; never where it is 0, as TensorFlow Serving has it.

    Args:
        look: Looks once.
        what: What is looked at, for the log.
        interval_s: Seconds between two looks.
        log: Where a look that failed is told. Whatever it was, the next one follows.
        wait: Waits so many seconds.
    """
    while interval_s > 0:
        await wait(interval_s)
        try:
            await look()
        except Exception:  # whatever it is, what serves goes on serving
            log.exception("looking at %s failed", what)
