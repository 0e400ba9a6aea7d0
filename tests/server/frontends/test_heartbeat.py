import os

import pytest

from foldserve_server.frontends.heartbeat import Heartbeat, HeartbeatPolicy, cpu_seconds

PATIENCE = HeartbeatPolicy(idle_s=10.0, longest_s=40.0)
OWED = (3, 7)


def seconds_until_given_up(heartbeat: Heartbeat, busy: float = 0.0, busy_bytes: int = 1 << 40) -> tuple[int, float]:
    """After how many checks, a second apart, and what it has missed then; it computes that share of the time."""
    for now in range(1000):
        missed_s = heartbeat.overdue(OWED, busy * now, busy_bytes, float(now))
        if missed_s is not None:
            return now, missed_s
    raise AssertionError("it was never given up")


def test_who_is_silent_and_idle_is_given_up_after_the_timeout() -> None:
    assert seconds_until_given_up(Heartbeat(PATIENCE)) == (11, 10.0)


def test_who_computes_meanwhile_has_as_long_as_a_large_message_takes() -> None:
    assert seconds_until_given_up(Heartbeat(PATIENCE), busy=1.0) == (41, 40.0)
    assert seconds_until_given_up(Heartbeat(PATIENCE), busy=0.25) == (41, 40.0)


def test_who_computes_with_nothing_large_in_hand_spins_and_is_given_up_after_the_timeout() -> None:
    looks, silent_s = seconds_until_given_up(Heartbeat(PATIENCE), busy=1.0, busy_bytes=100)
    assert looks == 11 and silent_s == pytest.approx(10.0, abs=1e-3)
    assert seconds_until_given_up(Heartbeat(PATIENCE), busy=1.0, busy_bytes=40 << 20) == (21, 20.0)


def test_who_answers_now_and_then_is_never_given_up() -> None:
    heartbeat = Heartbeat(PATIENCE)
    for now in range(1000):
        assert heartbeat.overdue((now // 9, 0), 0.0, 0, float(now)) is None


def test_who_owes_nothing_is_never_given_up() -> None:
    heartbeat = Heartbeat(PATIENCE)
    assert all(heartbeat.overdue(None, 0.0, 0, float(now)) is None for now in range(1000))


def test_nobody_is_given_up_because_the_watcher_was_stopped_too() -> None:
    heartbeat = Heartbeat(PATIENCE)
    assert heartbeat.overdue(OWED, 0.0, 0, 0.0) is None
    assert heartbeat.overdue(OWED, 0.0, 0, 3600.0) is None
    assert heartbeat.overdue(None, 0.0, 0, 3601.0) is None


@pytest.mark.parametrize(("timeout_s", "interval_s"), [(10.0, 1.0), (60.0, 1.0), (0.5, 0.05)])
def test_looks_are_a_second_apart_or_closer_where_the_timeout_is_short(timeout_s: float, interval_s: float) -> None:
    assert HeartbeatPolicy.of(timeout_s, 256 << 20).interval_s == interval_s
    assert HeartbeatPolicy.of(timeout_s, 256 << 20).longest_s == timeout_s + 64


def test_what_a_process_computes_is_told_and_nothing_of_one_that_is_not_there() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) < before + 0.05:
        sum(range(10_000))
    assert cpu_seconds(os.getpid()) <= sum(os.times()[:2]) + 0.05
    assert cpu_seconds(1 << 30) == 0.0
