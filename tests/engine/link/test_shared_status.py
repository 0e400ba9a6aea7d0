from foldserve_engine.link.batch_stats import MOST_BUCKETS, SIZE_BOUNDS, WAIT_BOUNDS_US, BatchStats, Padding
from foldserve_engine.link.shared_status import SharedStatus


def test_batches_are_counted_beside_the_one_that_runs() -> None:
    status = SharedStatus.create(4)
    status.begin([(1, 1, 7), (2, 3, 9)], 3, 100)
    status.count(3, 4, [(5_000, 2), (1_000_000, 1)])
    status.count(1, 1, [(0, 1)])
    running = status.running()
    assert running is not None and running.jobs == {(1, 1, 7), (2, 3, 9)} and running.rows == 3
    stats = status.stats
    assert (stats.rows, stats.padding, stats.waited_ns, stats.requested_rows) == (5, 1, 1_005_000, 4)
    assert [SIZE_BOUNDS[at] for at, count in enumerate(stats.sizes) if count] == [1, 4]
    assert sum(stats.waits) == 3 and stats.waits[0] == 2
    longest = next(at for at, bound in enumerate(WAIT_BOUNDS_US) if bound >= 1000)
    assert stats.waits[longest] == 1
    assert [(SIZE_BOUNDS[at], count) for at, count in enumerate(stats.requests) if count] == [(1, 2), (2, 1)]
    assert stats.buckets == (), "nothing is told of sizes that nobody expects"


def padding(rows: int, **counts: int) -> Padding:
    return Padding(rows, tuple(counts.get(f"upto_{bound}", 0) for bound in (*SIZE_BOUNDS, "more")))


def test_padding_is_told_apart_by_the_size_it_fills() -> None:
    status = SharedStatus.create(1)
    status.expect([4, 8])
    for rows, size in ((3, 4), (4, 4), (5, 8), (2, 2)):
        status.count(rows, size, [])
    assert status.stats.buckets == ((4, padding(1, upto_1=2)), (8, padding(3, upto_4=1)))
    assert (status.stats + status.stats).buckets[1] == (8, padding(6, upto_4=2))


def test_sizes_beyond_what_the_page_can_hold_are_counted_together_only() -> None:
    status = SharedStatus.create(1)
    status.expect(range(1, MOST_BUCKETS + 2))
    status.count(1, MOST_BUCKETS, [])
    status.count(1, MOST_BUCKETS + 1, [])
    output = dict(status.stats.buckets)
    assert len(output) == MOST_BUCKETS and sum(output[MOST_BUCKETS].counts) == 1
    assert status.stats.padding == 2 * MOST_BUCKETS - 1


def test_what_is_beyond_every_bound_is_counted_too() -> None:
    status = SharedStatus.create(1)
    status.count(SIZE_BOUNDS[-1] + 1, SIZE_BOUNDS[-1] + 1, [(10**18, 10**6)])
    assert status.stats.sizes[-1] == 1 and status.stats.waits[-1] == status.stats.requests[-1] == 1


def test_the_counts_of_an_engine_that_died_are_added_to_those_of_the_next() -> None:
    status = SharedStatus.create(1)
    status.count(2, 4, [(1000, 2)])
    assert (status.stats + BatchStats()) == status.stats
    twice = status.stats + status.stats
    assert (twice.rows, twice.padding, sum(twice.sizes), sum(twice.waits)) == (8, 4, 2, 2)
