from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldserve_engine.batch_sizes import check_sizes
from foldserve_engine.link.packets import JobKey
from foldserve_engine.worker.batch_queue import Batch, BatchQueue, Job, Part

SHAPE = ((4,),)
OTHER = ((5,),)


def job(
    slot: int,
    rows: int,
    *,
    shape: tuple[tuple[int, ...], ...] = SHAPE,
    arrived: int = 0,
    deadline: int | None = None,
    exact: bool = False,
) -> Job:
    return Job((slot, 0, 0), rows, shape, arrived, deadline, exact)


def queue_of(*jobs: Job, max_batch_size: int = 4, sizes: tuple[int, ...] = (), timeout_ns: int = 0) -> BatchQueue:
    queue = BatchQueue(max_batch_size, sizes, timeout_ns)
    for item in jobs:
        queue.add(item)
    return queue


def take(queue: BatchQueue, now: int = 0) -> list[tuple[int, int, int]]:
    """The slots and rows of the next batch, which is thereby finished."""
    batch = queue.take(now).batch
    parts = batch.parts if batch else ()
    for part in parts:
        queue.finish(part)
    return [(part.job.key[0], part.start, part.stop) for part in parts]


def test_jobs_that_share_no_batches_are_computed_one_by_one_without_waiting() -> None:
    queue = BatchQueue(4, timeout_ns=1000, together=False)
    for item in (job(0, 1), job(1, 2), job(2, 6)):
        queue.add(item)
    assert queue.wait_ns(0) == 0
    batches = [take(queue) for _ in range(4)]
    assert batches == [[(0, 0, 1)], [(1, 0, 2)], [(2, 0, 4)], [(2, 4, 6)]] and not len(queue)


def test_what_waits_becomes_one_batch() -> None:
    queue = queue_of(job(0, 1), job(1, 2))
    assert take(queue) == [(0, 0, 1), (1, 0, 2)]
    assert len(queue) == 0


def test_a_batch_counts_rows_and_not_requests() -> None:
    queue = queue_of(job(0, 3), job(1, 3))
    assert take(queue) == [(0, 0, 3)]
    assert take(queue) == [(1, 0, 3)]


def test_a_request_that_does_not_fit_is_first_in_the_next_batch() -> None:
    queue = queue_of(job(0, 3), job(1, 3), job(2, 1))
    assert take(queue) == [(0, 0, 3)]
    assert take(queue) == [(1, 0, 3), (2, 0, 1)]


def test_rows_of_different_shapes_never_share_a_batch_and_the_longest_waiting_goes_first() -> None:
    queue = queue_of(job(0, 1, shape=OTHER), job(1, 1), job(2, 1, shape=OTHER))
    assert take(queue) == [(0, 0, 1), (2, 0, 1)]
    assert take(queue) == [(1, 0, 1)]


def test_a_large_request_is_taken_in_parts_that_alternate_with_others() -> None:
    queue = queue_of(job(0, 10), job(1, 4), job(2, 4))
    assert [take(queue) for _ in range(5)] == [
        [(0, 0, 4)],
        [(1, 0, 4)],
        [(2, 0, 4)],
        [(0, 4, 8)],
        [(0, 8, 10)],
    ]


def test_a_large_request_fills_what_a_small_one_leaves() -> None:
    queue = queue_of(job(0, 1), job(1, 6))
    assert take(queue) == [(0, 0, 1), (1, 0, 3)]
    assert take(queue) == [(1, 3, 6)]


def test_a_large_request_is_finished_with_its_last_part() -> None:
    queue = queue_of(job(0, 6))
    first, last = queue.take(0).batch, queue.take(0).batch
    assert first and last
    assert [queue.finish(first.parts[0]), queue.finish(last.parts[0])] == [False, True]


def test_an_expired_request_is_dropped_when_the_batch_is_formed() -> None:
    queue = queue_of(job(0, 1, deadline=5), job(1, 1, deadline=6))
    taken = queue.take(5)
    assert [item.key for item in taken.expired] == [(0, 0, 0)]
    assert taken.batch and [part.job.key for part in taken.batch.parts] == [(1, 0, 0)]


def test_the_rest_of_a_large_request_expires() -> None:
    queue = queue_of(job(0, 6, deadline=5))
    assert take(queue, 4) == [(0, 0, 4)]
    taken = queue.take(5)
    assert taken.batch is None
    assert [item.key for item in taken.expired] == [(0, 0, 0)]


def test_a_cancelled_request_is_not_computed() -> None:
    queue = queue_of(job(0, 1), job(1, 1))
    assert queue.cancel((0, 0, 0)) == job(0, 1)
    assert queue.cancel((0, 0, 0)) is None
    assert take(queue) == [(1, 0, 1)]


def test_what_was_cancelled_while_it_was_computed_is_not_settled_again() -> None:
    queue = queue_of(job(0, 1))
    batch = queue.take(0).batch
    assert batch
    assert queue.cancel((0, 0, 0)) is not None
    assert not queue.finish(batch.parts[0])


def test_a_request_without_rows_needs_no_batch() -> None:
    queue = queue_of(job(0, 0))
    assert queue.wait_ns(0) == 0
    taken = queue.take(0)
    assert taken.batch is None
    assert [item.key for item in taken.empty] == [(0, 0, 0)]
    assert len(queue) == 0


def test_a_batch_is_padded_up_to_an_allowed_size() -> None:
    queue = queue_of(job(0, 3), max_batch_size=8, sizes=(1, 4, 8))
    assert queue.take(0).batch == Batch((Part(job(0, 3), 0, 3),), 3, 4)


def test_exact_jobs_are_computed_in_batches_of_one_size_and_never_with_others() -> None:
    queue = BatchQueue(8, (1, 8), exact_rows=2)
    for item in (job(0, 1, exact=True), job(1, 1), job(2, 1, exact=True), job(3, 3, exact=True), job(4, 2)):
        queue.add(item)
    batches = [queue.take(0).batch for _ in range(4)]
    assert [(batch.size, batch.exact, len(batch.parts)) for batch in batches if batch] == [
        (2, True, 2),
        (8, False, 2),
        (2, True, 1),
        (2, True, 1),
    ]


def test_a_part_of_an_exact_job_computed_alone_keeps_its_size() -> None:
    queue = BatchQueue(8, exact_rows=4)
    queue.add(job(0, 1, exact=True))
    queue.add(job(1, 1, exact=True))
    batch = queue.take(0).batch
    assert batch and queue.batch(batch.parts[:1]) == Batch(batch.parts[:1], 1, 4, True)


def test_without_a_timeout_nobody_waits() -> None:
    assert queue_of(job(0, 1, arrived=7)).wait_ns(7) == 0
    assert queue_of().wait_ns(7) is None


def test_a_timeout_lets_a_batch_fill_up() -> None:
    queue = queue_of(job(0, 1, arrived=10), timeout_ns=100)
    assert queue.wait_ns(30) == 80
    assert take(queue, 30) == []
    queue.add(job(1, 3, arrived=40))
    assert queue.wait_ns(40) == 0
    assert take(queue, 40) == [(0, 0, 1), (1, 0, 3)]


def test_an_unfilled_batch_goes_when_its_first_request_has_waited_long_enough() -> None:
    queue = queue_of(job(0, 1, arrived=10), timeout_ns=100)
    assert take(queue, 110) == [(0, 0, 1)]


def test_two_requests_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="already"):
        queue_of(job(0, 1), job(0, 2))


@pytest.mark.parametrize(("largest", "sizes"), [(0, ()), (4, (1, 2)), (4, (2, 1, 4)), (4, (0, 4)), (4, (4, 4))])
def test_sizes_that_cannot_be_buckets_are_refused(largest: int, sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must"):
        check_sizes(largest, sizes)


class Callers:
    """Plays random callers and an engine, and records which caller was settled, and how."""

    def __init__(self, queue: BatchQueue, max_batch_size: int, sizes: tuple[int, ...]) -> None:
        self.queue, self.max, self.sizes = queue, max_batch_size, sizes
        self.now = 0
        self.added: dict[JobKey, Job] = {}
        self.settled: dict[JobKey, str] = {}
        self.rows: dict[JobKey, list[int]] = defaultdict(list)

    def add(self, rows: int, shape: int, patience: int | None) -> None:
        deadline = None if patience is None else self.now + patience
        new = Job((len(self.added), 0, 0), rows, ((shape,),), self.now, deadline)
        self.added[new.key] = new
        self.queue.add(new)

    def settle(self, key: JobKey, how: str) -> None:
        assert key not in self.settled
        self.settled[key] = how

    def cancel(self, slot: int) -> None:
        if self.queue.cancel((slot, 0, 0)) is not None:
            self.settle((slot, 0, 0), "cancelled")

    def turn(self, fails: bool) -> None:
        taken = self.queue.take(self.now)
        for item in taken.empty:
            assert item.rows == 0
            self.settle(item.key, "finished")
        for item in taken.expired:
            assert item.deadline_ns is not None and item.deadline_ns <= self.now
            self.settle(item.key, "expired")
        if taken.batch is not None:
            self.compute(taken.batch, fails)

    def compute(self, batch: Batch, fails: bool) -> None:
        assert 0 < batch.rows == sum(part.rows for part in batch.parts) <= self.max
        assert batch.size == batch.rows if not self.sizes else batch.size in self.sizes and batch.size >= batch.rows
        assert len({part.job.row_shapes for part in batch.parts}) == 1
        assert len({part.job.key for part in batch.parts}) == len(batch.parts)
        for part in batch.parts:
            key = part.job.key
            assert key not in self.settled
            assert part.whole or part.job.rows > self.max
            assert part.job.deadline_ns is None or part.job.deadline_ns > self.now
            if fails and part is batch.parts[0]:
                assert self.queue.fail(key) is not None
                self.settle(key, "failed")
                continue
            self.rows[key] += range(part.start, part.stop)
            if self.queue.finish(part):
                self.settle(key, "finished")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 20), st.integers(1, 2), st.none() | st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 40)),
        st.tuples(st.just("turn"), st.booleans()),
        st.tuples(st.just("pass"), st.integers(1, 20)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.sampled_from([(), (1, 4, 8), (8,)]), st.sampled_from([0, 10]))
def test_every_job_is_settled_once_and_rightly(
    steps: list[tuple[Any, ...]], sizes: tuple[int, ...], timeout_ns: int
) -> None:
    callers = Callers(BatchQueue(8, sizes, timeout_ns), 8, sizes)
    for what, *rest in steps:
        if what == "add":
            callers.add(*rest)
        elif what == "cancel":
            callers.cancel(*rest)
        elif what == "turn":
            callers.turn(*rest)
        else:
            callers.now += rest[0]
    while (wait_ns := callers.queue.wait_ns(callers.now)) is not None:
        callers.now += wait_ns
        before = len(callers.settled), sum(map(len, callers.rows.values()))
        callers.turn(False)
        assert (len(callers.settled), sum(map(len, callers.rows.values()))) > before, "no progress"
    assert callers.settled.keys() == callers.added.keys()
    assert len(callers.queue) == 0
    for key, how in callers.settled.items():
        if how == "finished":
            assert callers.rows[key] == list(range(callers.added[key].rows))
