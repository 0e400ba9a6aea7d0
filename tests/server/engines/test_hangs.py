import pytest

from foldserve_engine.link.documents import Warmed
from foldserve_engine.link.status_page import Running
from foldserve_server.engines import Watchdog
from foldserve_server.engines.hangs import is_hang, longest_s
from foldserve_server.engines.stillness import Stillness

WARMED = (Warmed(1, 0.1), Warmed(8, 0.4), Warmed(32, 2.0))


@pytest.mark.parametrize(("rows", "longest"), [(1, 10.0), (2, 10.0), (8, 10.0), (9, 40.0), (32, 40.0), (33, 40.0)])
def test_a_batch_may_take_ten_seconds_or_twenty_times_what_its_size_took_when_it_was_warmed(
    rows: int, longest: float
) -> None:
    policy = Watchdog()
    assert longest_s(rows, WARMED, policy) == longest
    running = Running(5, rows, frozenset())
    assert not is_hang(longest, running, WARMED, policy)
    assert is_hang(longest + 0.001, running, WARMED, policy)


def test_an_engine_without_a_batch_may_do_nothing_for_ten_seconds() -> None:
    assert not is_hang(10.0, None, WARMED, Watchdog())
    assert is_hang(10.001, None, WARMED, Watchdog())


def test_stillness_is_the_time_for_which_the_same_was_seen() -> None:
    stillness = Stillness(1.0)
    assert [stillness.look("a", now) for now in (5.0, 6.0, 7.5)] == [0.0, 1.0, 2.5]
    assert [stillness.look("b", now) for now in (8.5, 9.5)] == [0.0, 1.0]
    assert [stillness.look(None, now) for now in (10.5, 11.5)] == [0.0, 0.0]
    assert stillness.look("b", 12.5) == 0.0


def test_time_in_which_the_watcher_itself_was_held_up_is_not_counted() -> None:
    stillness = Stillness(1.0)
    assert stillness.look("a", 0.0) == 0.0
    assert stillness.look("a", 3600.0) == 2.0
    assert stillness.look("a", 3601.0) == 3.0
