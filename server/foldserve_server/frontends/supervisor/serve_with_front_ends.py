"""The server as a supervisor of front ends: it answers nobody itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from ...config.options import ServerOptions
from ...engines.launcher import Launcher
from ...models.admin import Admin
from ...models.routing_table import RoutingTable
from ...stats.metric_counters import MetricCounters
from ..shared_counters import SharedCounterStore
from .front_end_pool import FrontEndPool, PoolPlan

Run = Callable[
    [
        ServerOptions,
        RoutingTable,
        MetricCounters,
        Launcher,
        Callable[[Admin], Coroutine[None, None, FrontEndPool]],
        asyncio.Event,
    ],
    Awaitable[None],
]


async def serve_with_front_ends(
    options: ServerOptions, arguments: Sequence[str], stop: asyncio.Event, run: Run
) -> None:
    """Runs the server with front ends in processes of their own.

    Args:
        options: How.
        arguments: The command line that the server was started with.
        stop: Set when it is to end.
        run: Loads and watches, with whatever answers callers.

    Raises:
        CannotStart: The port cannot be had, or a front end cannot listen.
        FrontEndsFailed: Front ends end again and again.
    """
    slots = options.front_ends + 1
    counters = SharedCounterStore.create(slots, own=slots - 1)
    table = RoutingTable()
    pool = FrontEndPool(PoolPlan(options, tuple(arguments)), table, counters)

    async def start(admin: Admin) -> FrontEndPool:
        await pool.start(admin)
        return pool

    try:
        await run(options, table, MetricCounters(counters), Launcher(options, pool.start_engine), start, stop)
    finally:
        await pool.stop(0)
