"""One engine and several front ends, each of which is played by a test."""

import os
import queue
import select
import threading
from collections.abc import Iterator

import pytest

from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec
from foldserve_engine.link.channel import Channel, Closed, Packet, pair
from foldserve_engine.link.layout import Layout
from foldserve_engine.link.packets import (
    Arena,
    Credits,
    Origin,
    Outcome,
    PacketKind,
    ResultCodec,
    Submit,
    SubmitCodec,
)
from foldserve_engine.link.shared_memory import SharedMemory
from foldserve_engine.link.shared_status import SharedStatus
from foldserve_engine.worker.batch_queue import BatchQueue
from foldserve_engine.worker.batch_worker import Worker
from foldserve_engine.worker.front_end_links import FrontEndLinks

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
INPUTS, OUTPUTS = Layout(SIGNATURE.inputs), Layout(SIGNATURE.outputs)
ARENA = Arena(8, 4096)
PATIENCE_S = 30
HOLD = -1.0


class SlowEngine:
    """Doubles; a batch with a HOLD row is not computed before it is released."""

    signature = SIGNATURE

    def __init__(self) -> None:
        self.batches: queue.Queue[list[float]] = queue.Queue()
        self.release = threading.Semaphore(0)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        first = inputs["x"][:, 0].tolist()
        self.batches.put(first)
        if HOLD in first and not self.release.acquire(timeout=PATIENCE_S):
            raise AssertionError("nobody released the engine")
        return {"y": inputs["x"] * 2}

    def close(self) -> None:
        raise AssertionError("nobody closes it here")


class Front:
    """A front end that does as it is told."""

    def __init__(self, sock: Channel, origin: Origin) -> None:
        self.channel = sock
        self.submits = SubmitCodec(0, origin)
        self.results = ResultCodec(0, origin)
        self.memory = SharedMemory.create(ARENA.size, "test")
        self.channel.put(PacketKind.ATTACH, ARENA.pack(), [os.dup(self.memory.descriptor)])

    def ask(self, slot: int, value: float, generation: int = 0) -> None:
        offset, _ = ARENA.place(slot)
        INPUTS.views(self.memory.map, offset, 1, ())["x"][:] = value
        self.channel.put(PacketKind.WORK, self.submits.pack(Submit(slot, generation, 1, 0, False, ())))
        assert self.channel.flush()

    def hear(self) -> Packet:
        while (packet := self.channel.receive()) is None:
            assert select.select([self.channel], [], [], PATIENCE_S)[0]
        return packet

    def answers(self, count: int) -> dict[int, float]:
        """Results by slot."""
        results: dict[int, float] = {}
        while len(results) < count:
            packet = self.hear()
            assert packet.kind is PacketKind.RESULTS
            for result in self.results.unpack(packet.payload):
                assert result.outcome is Outcome.DONE and not result.stale and result.slot not in results
                offset, _ = ARENA.place(result.slot)
                views = OUTPUTS.views(self.memory.map, offset + INPUTS.size(1, ()), 1, ())
                results[result.slot] = float(views["y"][0, 0])
        return results

    def credits(self) -> Credits:
        packet = self.hear()
        assert packet.kind is PacketKind.CREDITS
        return Credits.unpack(bytes(packet.payload))


class Harness:
    """An engine that serves in a thread, and its supervisor's channel."""

    def __init__(self, front_ends: int = 2) -> None:
        ours, theirs = pair()
        self.control = Channel(ours)
        self.engine = SlowEngine()
        self.fronts: list[Front] = []
        links = FrontEndLinks(Channel(theirs), SIGNATURE, Credits(100, 1000), front_ends)
        worker = Worker(links, self.engine, BatchQueue(8), SharedStatus.create(64))
        self.thread = threading.Thread(target=worker.serve)
        self.thread.start()

    def front(self, number: int, epoch: int = 1) -> Front:
        ours, theirs = pair()
        origin = Origin(number, epoch)
        self.control.put(PacketKind.LINK, origin.pack(), [theirs.detach()])
        assert self.control.flush()
        self.fronts.append(Front(Channel(ours), origin))
        return self.fronts[-1]

    def computed(self) -> list[float]:
        return self.engine.batches.get(timeout=PATIENCE_S)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.engine.release.release(9)
    harness.control.close()
    harness.thread.join(PATIENCE_S)
    for front in harness.fronts:
        front.channel.close()
        front.memory.close()
    assert not harness.thread.is_alive(), "the engine ends with its supervisor, whatever front ends there are"


def test_a_batch_holds_rows_of_every_front_end_and_each_gets_its_own(harness: Harness) -> None:
    item, two = harness.front(1), harness.front(2)
    item.ask(0, HOLD)
    assert harness.computed() == [HOLD]
    item.ask(1, 10)
    two.ask(0, 20)
    two.ask(1, 30)
    item.ask(2, 40)
    harness.engine.release.release()
    assert sorted(harness.computed()) == [10, 20, 30, 40]
    assert item.answers(3) == {0: 2 * HOLD, 1: 20, 2: 80}
    assert two.answers(2) == {0: 40, 1: 60}


def test_what_a_dead_front_end_had_queued_is_not_computed_and_its_credits_go_to_the_others(harness: Harness) -> None:
    dying, staying = harness.front(1), harness.front(2)
    dying.ask(0, HOLD)
    assert harness.computed() == [HOLD]
    dying.ask(1, 10)
    staying.ask(0, 20)
    dying.channel.close()
    harness.engine.release.release()
    assert harness.computed() == [20]
    assert staying.credits() == Credits(100, 1000)
    assert staying.answers(1) == {0: 40}
    successor = harness.front(3)
    assert staying.credits() == Credits(50, 500)
    successor.ask(0, 50)
    assert harness.computed() == [50]
    assert successor.answers(1) == {0: 100}, "and it was told nothing of credits, which are what it was born with"


def test_who_comes_while_another_is_gone_is_told_what_there_is(harness: Harness) -> None:
    item, two = harness.front(1), harness.front(2)
    for front in (item, two):
        front.ask(0, 1)
        front.answers(1)
    item.channel.close()
    assert two.credits() == Credits(100, 1000)
    two.channel.close()
    three = harness.front(3)
    assert three.credits() == Credits(100, 1000)
    four = harness.front(4)
    assert three.credits() == Credits(50, 500)
    four.ask(0, 4)
    assert four.answers(1) == {0: 8}


@pytest.mark.parametrize("stale", [Origin(1, 7), Origin(2, 1)])
def test_what_is_meant_for_another_engine_or_comes_from_another_front_end_is_not_computed(
    harness: Harness, stale: Origin
) -> None:
    item = harness.front(1)
    item.ask(0, 1)
    assert harness.computed() == [1]
    item.submits = SubmitCodec(0, stale)
    item.ask(1, 2)
    item.submits = SubmitCodec(0, Origin(1, 1))
    item.ask(2, 3)
    assert harness.computed() == [3]
    assert item.answers(2) == {0: 2, 2: 6}


def test_a_front_end_that_talks_nonsense_is_given_up_and_no_other(harness: Harness) -> None:
    item, two = harness.front(1), harness.front(2)
    item.channel.put(PacketKind.WORK, b"nonsense")
    assert item.channel.flush()
    with pytest.raises(Closed):
        item.hear()
    assert two.credits() == Credits(100, 1000)
    two.ask(0, 5)
    assert two.answers(1) == {0: 10}


def test_an_answer_is_never_written_where_a_restarted_front_end_reads(harness: Harness) -> None:
    """The batch that runs when a front end dies is written to its memory, which its successor does not have."""
    dying, _ = harness.front(1), harness.front(2)
    dying.ask(0, HOLD)
    assert harness.computed() == [HOLD]
    dying.channel.close()
    successor = harness.front(3)
    successor.ask(0, 7)
    harness.engine.release.release()
    assert harness.computed() == [7]
    assert successor.answers(1) == {0: 14}, "and its credits are its share, though it came before the death was seen"


def test_credits_never_make_the_engine_wait_for_a_front_end_that_reads_nothing(harness: Harness) -> None:
    deaf, hearing = harness.front(1), harness.front(2)
    for generation in range(2000):
        deaf.ask(generation % 8, 1, generation)
        if generation % 8 == 7:
            harness.computed()
    hearing.ask(0, 9)
    assert hearing.answers(1) == {0: 18}
