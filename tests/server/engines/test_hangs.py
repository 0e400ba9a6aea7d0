import pytest

from foldserve_engine.link.documents import Warmed
from foldserve_engine.link.status_page import Running
from foldserve_server.engines import Watchdog
from foldserve_server.engines.hangs import is_hang, longest_s

SECOND = 1_000_000_000
WARMED = (Warmed(1, 0.1), Warmed(8, 0.4), Warmed(32, 2.0))


@pytest.mark.parametrize(("rows", "longest"), [(1, 10.0), (2, 10.0), (8, 10.0), (9, 40.0), (32, 40.0), (33, 40.0)])
def test_a_batch_may_take_ten_seconds_or_twenty_times_what_its_size_took_when_it_was_warmed(
    rows: int, longest: float
) -> None:
    policy = Watchdog()
    assert longest_s(rows, WARMED, policy) == longest
    begun = 5 * SECOND
    running = Running(begun, rows, frozenset())
    assert not is_hang(running, WARMED, policy, begun + int(longest * SECOND))
    assert is_hang(running, WARMED, policy, begun + int(longest * SECOND) + 1_000_000)


def test_an_engine_that_computes_nothing_does_not_hang() -> None:
    assert not is_hang(None, WARMED, Watchdog(), 10**18)
