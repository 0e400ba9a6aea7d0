"""Duty cycle of a loading engine: it works in short turns while callers are answered and cores are few.

A low priority is not enough there: two hardware threads of one core slow each other down whatever their priorities are,
and to undo one takes a right that few have. To stop a process and let it go on takes none.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from .child import ChildProcess

Count = Callable[[], int]
_WORK_S, _REST_S = 0.001, 0.012
_BUSY_S = 0.05  # callers count as being answered for so long after a batch was begun
_FIRST_S = 0.03  # until it has asked to be killed with its parent: who is stopped does not see a socket close
_LONGEST_S = 10.0  # of turns: what takes longer to load would take ten times as long


@contextlib.asynccontextmanager
async def throttled(child: ChildProcess, batches: Count | None) -> AsyncIterator[None]:
    """Context in which the process works a tenth of the time whenever other engines have just begun a batch.

    Args:
        child: The process that loads.
        batches: The number of batches that other engines have begun so far; None for no throttling.
    """
    if batches is None:
        yield
        return
    turning = asyncio.get_running_loop().create_task(_turn(child, batches))
    try:
        yield
    finally:
        turning.cancel()
        child.go_on()


async def _turn(child: ChildProcess, batches: Count) -> None:
    now_s = asyncio.get_running_loop().time
    seen, busy_until_s = batches(), 0.0
    await asyncio.sleep(_FIRST_S)
    end_s = now_s() + _LONGEST_S
    while now_s() < end_s:
        count = batches()
        if count != seen:
            seen, busy_until_s = count, now_s() + _BUSY_S
        if now_s() >= busy_until_s:
            await asyncio.sleep(_REST_S)
            continue
        child.pause()
        await asyncio.sleep(_REST_S)
        child.go_on()
        await asyncio.sleep(_WORK_S)
