"""The server as a supervisor of front ends: it answers nobody itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from ..core.admin import Admin
from ..core.table import Table
from ..core.telemetry import Telemetry
from ..launcher import Launcher
from ..options import Options
from .book import SharedBook
from .fleet import Fleet, Plan

Run = Callable[
    [Options, Table, Launcher, Callable[[Admin], Coroutine[None, None, Fleet]], asyncio.Event], Awaitable[None]
]


async def supervised(options: Options, words: Sequence[str], stop: asyncio.Event, run: Run) -> None:
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
    book = SharedBook.create(seats, own=seats - 1)
    table = Table(Telemetry(book))
    fleet = Fleet(Plan(options, tuple(words)), table, book)

    async def start(admin: Admin) -> Fleet:
        await fleet.start(admin)
        return fleet

    try:
        await run(options, table, Launcher(options, fleet.start_engine), start, stop)
    finally:
        await fleet.stop(0)
