"""The server as a supervisor of front ends: it answers nobody itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from ...config.options import ServerOptions
from ...engines.launcher import Launcher
from ...models.admin import Admin
from ...models.table import Table
from ...stats.telemetry import Telemetry
from ..shared_counters import SharedCounterStore
from .pool import FrontEndPool, PoolPlan

Run = Callable[
    [ServerOptions, Table, Telemetry, Launcher, Callable[[Admin], Coroutine[None, None, FrontEndPool]], asyncio.Event],
    Awaitable[None],
]


async def serve_with_front_ends(options: ServerOptions, words: Sequence[str], stop: asyncio.Event, run: Run) -> None:
    """Runs the server with front ends in processes of their own.

    Args:
        options: How.
        words: The command line that says so.
        stop: Set when it is to end.
        run: Loads and watches, with whatever answers callers.

    Raises:
        CannotStart: The port cannot be had, or a front end cannot listen.
        FrontEndsFailed: Front ends end again and again.
    """
    seats = options.front_ends + 1
    book = SharedCounterStore.create(seats, own=seats - 1)
    table = Table()
    fleet = FrontEndPool(PoolPlan(options, tuple(words)), table, book)

    async def start(admin: Admin) -> FrontEndPool:
        await fleet.start(admin)
        return fleet

    try:
        await run(options, table, Telemetry(book), Launcher(options, fleet.start_engine), start, stop)
    finally:
        await fleet.stop(0)
