import json
from collections.abc import Iterator
from functools import partial

import pytest

from foldserve_server.frontends.shared_counters import SharedCounterStore
from foldserve_server.stats.metric_counters import BUSY_BYTES, MetricCounters
from foldserve_server.stats.model_stats import RECENT, ModelStats
from foldserve_server.stats.shadow_deviation import Drift

SLOTS = 3


@pytest.fixture
def stores() -> Iterator[list[SharedCounterStore]]:
    """The same store as each of three processes sees them."""
    first = SharedCounterStore.create(SLOTS, 0, 1 << 16)
    others = [SharedCounterStore.attach(first.memory.descriptor, SLOTS, own) for own in (1, 2)]
    yield [first, *others]
    first.memory.close()


def test_the_counts_of_all_processes_are_added_up(stores: list[SharedCounterStore]) -> None:
    telemetries = [MetricCounters(store) for store in stores]
    for number, metric_counters in enumerate(telemetries, 1):
        metric_counters.failed("m", "UNAVAILABLE")
        for _ in range(number):
            metric_counters.answered("m", "Predict", "GRPC", 25_000)
        metric_counters.ran("m", "Predict", "onnxruntime", number, 1_000)
    telemetries[2].refused("m", "GoldenMismatch")
    for metric_counters in telemetries:
        assert metric_counters.requests == {("m", "OK"): 6, ("m", "UNAVAILABLE"): 3}
        assert metric_counters.rows == {"m": 6}
        latency = metric_counters.latency["m", "Predict", "GRPC"]
        assert (latency.total, latency.sum) == (6, 150.0)
        assert metric_counters.refusals == {("m", "GoldenMismatch"): 1}


def test_statistics_and_drift_are_those_of_all(stores: list[SharedCounterStore]) -> None:
    all_stats = [ModelStats(store, "1", now=partial(int, at)) for store, at in zip(stores, (30, 50, 40), strict=True)]
    for rows, stats in enumerate(all_stats, 1):
        stats.succeed(rows, rows * 1000)
    all_stats[0].fail(RuntimeError(), 7)
    assert [(item.successes, item.failures, item.rows, item.success_ns, item.failure_ns) for item in all_stats] == [
        (3, 1, 6, 6000, 7)
    ] * 3
    assert all_stats[1].percentiles_ns(0.5, 1.0) == [2000, 3000]
    assert {item.last_ms for item in all_stats} == {50}, "the latest of all"
    drifts = [Drift("tensorflow", {"y": 1.0, "z": 1.0}, store, "1") for store in stores]
    drifts[0].record({"y": 0.25, "z": 0.0}, "m/1")
    drifts[1].record({"y": 0.5, "z": float("nan")}, "m/1")
    drifts[1].skip()
    assert (drifts[2].compared, drifts[2].beyond, drifts[2].skipped) == (2, 1, 1)
    assert drifts[2].worst == {"y": 0.5, "z": float("inf")}


def test_the_latest_answers_are_kept_and_no_more(stores: list[SharedCounterStore]) -> None:
    stats = ModelStats(stores[0], "1")
    for took in range(RECENT + 5):
        stats.succeed(1, took)
    assert stats.percentiles_ns(0.0001, 1.0) == [5, RECENT + 4]


def test_a_successor_in_the_slot_counts_on(stores: list[SharedCounterStore]) -> None:
    MetricCounters(stores[1]).failed("m", "INTERNAL")
    successor = SharedCounterStore.attach(stores[0].memory.descriptor, SLOTS, 1)
    MetricCounters(successor).failed("m", "INTERNAL")
    MetricCounters(successor).failed("n", "INTERNAL")
    assert MetricCounters(stores[0]).requests == {("m", "INTERNAL"): 2, ("n", "INTERNAL"): 1}


def test_an_entry_that_was_never_finished_is_not_there_and_leaves_nothing(stores: list[SharedCounterStore]) -> None:
    raw = memoryview(stores[0].memory.map).cast("q")
    begin = raw[0]
    raw[begin : begin + 16] = memoryview(bytes([255] * 128)).cast("q")  # its writer died before it said so
    assert stores[1].totals("x") == {}
    words = stores[0].counters(("x", "y"), 10)
    assert list(words) == [0] * 10
    words[3] = 5
    assert stores[1].totals("x") == {("y",): [0, 0, 0, 5, 0, 0, 0, 0, 0, 0]}


def test_what_a_dead_front_end_had_in_hand_is_taken_back_and_what_it_counted_is_not(
    stores: list[SharedCounterStore],
) -> None:
    stores[1].counters(("queue", "1"), 3)[0] = 7
    stores[2].counters(("queue", "1"), 3)[0] = 3
    stores[1].counters(("rows", "m"), 1)[0] = 4
    stores[0].clear(1, "queue")
    assert stores[2].totals("queue") == {("1",): [3, 0, 0]}
    assert stores[2].totals("rows") == {("m",): [4]}


def test_a_book_that_is_full_says_so_and_counts_on_for_itself(
    stores: list[SharedCounterStore], caplog: pytest.LogCaptureFixture
) -> None:
    key = ("kind", "x" * 100)
    size = len(json.dumps(key))
    for number in range((1 << 16) // 8 // SLOTS):
        words = stores[0].counters(("kind", f"{number:0100}"), size)
        words[0] += 1
    assert caplog.text.count("no room to count") == 1
    assert 0 < len(stores[1].totals("kind")) < (1 << 16)


def test_what_one_has_in_hand_is_its_own_until_it_looks_up(stores: list[SharedCounterStore]) -> None:
    telemetries = [MetricCounters(store) for store in stores]
    telemetries[1].start_message(70)
    telemetries[1].start_message(7)
    assert [stores[0].read(slot, BUSY_BYTES)[0] for slot in range(SLOTS)] == [0, 77, 0]
    telemetries[1].heartbeat()
    assert stores[0].read(1, BUSY_BYTES)[0] == 0
