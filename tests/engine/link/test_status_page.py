from foldserve_engine.link.status_page import SIZE_BOUNDS, WAIT_BOUNDS_US, BatchStats, StatusPage


def test_batches_are_counted_beside_the_one_that_runs() -> None:
    page = StatusPage.create(4)
    page.begin([(1, 7), (3, 9)], 3, 100)
    page.count(3, 4, [5_000, 1_000_000])
    page.count(1, 1, [0])
    running = page.running()
    assert running is not None and running.jobs == {(1, 7), (3, 9)} and running.rows == 3
    stats = page.stats
    assert (stats.rows, stats.padding, stats.waited_ns) == (5, 1, 1_005_000)
    assert [SIZE_BOUNDS[at] for at, count in enumerate(stats.sizes) if count] == [1, 4]
    assert sum(stats.waits) == 3 and stats.waits[0] == 2
    longest = next(at for at, bound in enumerate(WAIT_BOUNDS_US) if bound >= 1000)
    assert stats.waits[longest] == 1


def test_what_is_beyond_every_bound_is_counted_too() -> None:
    page = StatusPage.create(1)
    page.count(SIZE_BOUNDS[-1] + 1, SIZE_BOUNDS[-1] + 1, [10**18])
    assert page.stats.sizes[-1] == 1 and page.stats.waits[-1] == 1


def test_the_counts_of_an_engine_that_died_are_added_to_those_of_the_next() -> None:
    page = StatusPage.create(1)
    page.count(2, 4, [1000])
    assert (page.stats + BatchStats()) == page.stats
    twice = page.stats + page.stats
    assert (twice.rows, twice.padding, sum(twice.sizes), sum(twice.waits)) == (8, 4, 2, 2)
