import asyncio

import pytest

from foldserve_engine.link.handshake import WarmedSize
from foldserve_engine.link.shared_status import Running
from foldserve_server.engines import WatchdogPolicy
from foldserve_server.engines.process.watchdog import is_hang, longest_s
from foldserve_server.system.stall_timer import StallTimer, wait_while_running

WARMED = (WarmedSize(1, 0.1), WarmedSize(8, 0.4), WarmedSize(32, 2.0))


@pytest.mark.parametrize(("rows", "longest"), [(1, 10.0), (2, 10.0), (8, 10.0), (9, 40.0), (32, 40.0), (33, 40.0)])
def test_a_batch_may_take_ten_seconds_or_twenty_times_what_its_size_took_when_it_was_warmed(
    rows: int, longest: float
) -> None:
    policy = WatchdogPolicy()
    assert longest_s(rows, WARMED, policy) == longest
    running = Running(5, rows, frozenset())
    assert not is_hang(longest, running, WARMED, policy)
    assert is_hang(longest + 0.001, running, WARMED, policy)


def test_an_engine_without_a_batch_may_do_nothing_for_ten_seconds() -> None:
    assert not is_hang(10.0, None, WARMED, WatchdogPolicy())
    assert is_hang(10.001, None, WARMED, WatchdogPolicy())


def test_stillness_is_the_time_for_which_the_same_was_seen() -> None:
    stillness = StallTimer(1.0)
    assert [stillness.observe("a", now) for now in (5.0, 6.0, 7.5)] == [0.0, 1.0, 2.5]
    assert [stillness.observe("b", now) for now in (8.5, 9.5)] == [0.0, 1.0]
    assert [stillness.observe(None, now) for now in (10.5, 11.5)] == [0.0, 0.0]
    assert stillness.observe("b", 12.5) == 0.0


def test_time_in_which_the_watcher_itself_was_held_up_is_not_counted() -> None:
    stillness = StallTimer(1.0)
    assert stillness.observe("a", 0.0) == 0.0
    assert stillness.observe("a", 3600.0) == 2.0
    assert stillness.observe("a", 3601.0) == 3.0


async def test_waiting_counts_the_time_in_which_somebody_looked() -> None:
    hours = iter(range(100))
    begin = next(hours)
    await wait_while_running([asyncio.get_running_loop().create_future()], 0.01, clock=lambda: 3600.0 * next(hours))
    assert next(hours) - begin - 1 == 6, "each look adds two intervals at most, of which there are ten"


async def test_waiting_ends_with_what_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    loop.call_soon(first.set_result, 1)
    await wait_while_running([first, second], 3600.0, asyncio.FIRST_COMPLETED)
    assert not second.done()
    loop.call_soon(second.set_exception, ValueError())
    await wait_while_running([first, second], 3600.0)
    assert second.exception()
