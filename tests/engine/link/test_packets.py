import pytest

from foldserve_engine.gate.golden_check import GoldenVerdict, OutputVerdict
from foldserve_engine.link.handshake import EngineHello, EngineReady, WarmedSize, dump, parse
from foldserve_engine.link.packets import Arena, Credits, Origin, Outcome, Result, ResultCodec, Submit, SubmitCodec
from foldserve_engine.link.shared_status import Running, SharedStatus
from foldserve_engine.spec import EngineKind, EngineSpec

HERE = Origin(3, 7)


def test_submits_are_read_as_they_were_written() -> None:
    codec = SubmitCodec(2, HERE)
    submit = Submit(3, 2**32 - 1, 7, 2**62, True, (5, 6))
    exact = submit._replace(exact=True)
    assert list(codec.unpack(codec.pack(exact))) == [exact]
    first, second = codec.unpack(codec.pack(submit) + codec.pack_cancel(4, 9))
    assert first == submit
    assert (second.cancel, second.slot, second.generation) == (True, 4, 9)


def test_results_are_read_as_they_were_written() -> None:
    codec = ResultCodec(1, HERE)
    results = [Result(3, 1, Outcome.DONE, True, (5,)), Result(4, 0, Outcome.EXPIRED, False, (0,))]
    assert list(codec.unpack(b"".join(map(codec.pack, results)))) == results


@pytest.mark.parametrize("elsewhere", [Origin(4, 7), Origin(3, 8)])
def test_what_names_another_front_end_or_another_epoch_is_stale(elsewhere: Origin) -> None:
    submit = SubmitCodec(0, elsewhere).pack(Submit(1, 2, 3, 4, False, ()))
    result = ResultCodec(0, elsewhere).pack(Result(1, 2, Outcome.DONE, False, ()))
    assert [item.stale for item in SubmitCodec(0, HERE).unpack(submit)] == [True]
    assert [item.stale for item in ResultCodec(0, HERE).unpack(result)] == [True]
    assert [item.stale for item in SubmitCodec(0, elsewhere).unpack(submit)] == [False]


def test_credits_and_origins_are_read_as_they_were_written_and_shares_are_never_nothing() -> None:
    assert Credits.unpack(Credits(7, 1 << 40).pack()) == Credits(7, 1 << 40)
    assert Origin.unpack(HERE.pack()) == HERE
    assert (Credits(7, 10).share(2), Credits(1, 1).share(2)) == (Credits(3, 5), Credits(1, 1))


def test_an_arena_is_read_as_it_was_written() -> None:
    arena = Arena(1024, 1 << 20, 3, 1 << 40)
    assert Arena.unpack(arena.pack()) == arena


def test_large_slabs_lie_behind_the_small_ones() -> None:
    arena = Arena(2, 100, 3, 1000)
    assert [arena.place(slot) for slot in (0, 1, 2, 4)] == [(0, 100), (100, 100), (200, 1000), (2200, 1000)]
    assert arena.size == 3200


def test_documents_are_read_as_they_were_written() -> None:
    hello = EngineHello("/m/1", 7, EngineSpec(kind=EngineKind.TENSORFLOW, allowed_batch_sizes=(1, 4)))
    verdict = GoldenVerdict(8, (OutputVerdict("scores", 1e-7, 3, 4, 1e-6),))
    ready = EngineReady("digest", 4, 10, 20, verdict, (WarmedSize(1, 0.5),), {"load": 0.25})
    assert parse(EngineHello, dump(hello)) == hello
    assert parse(EngineReady, dump(ready)) == ready


def test_a_document_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="missing fields"):
        parse(EngineHello, b"{}")


def test_the_status_page_tells_what_is_computed_to_whoever_shares_it() -> None:
    status = SharedStatus.create(4)
    seen = SharedStatus.attach(status.memory.descriptor)
    assert seen.running() is None
    jobs = {(1, 1, 2), (2**15 - 1, 2**16 - 1, 2**32 - 1)}
    status.begin(jobs, 5, 77)
    running = seen.running()
    assert running == Running(77, 5, frozenset(jobs))
    assert running.of(1) == {(1, 2)} and not running.of(2)
    status.end()
    assert (seen.running(), seen.batches) == (None, 1)


def test_a_later_batch_leaves_nothing_of_an_earlier_one() -> None:
    status = SharedStatus.create(4)
    status.begin([(1, 1, 0), (1, 2, 0)], 2, 1)
    status.end()
    status.begin([(1, 3, 0)], 1, 2)
    assert status.running() == Running(2, 1, frozenset({(1, 3, 0)}))
    status.memory.close()
