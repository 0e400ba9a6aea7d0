import asyncio
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Array, Signature, TensorSpec
from foldserve_engine.link.channel import Packet
from foldserve_engine.link.packets import (
    Arena,
    Credits,
    Origin,
    Outcome,
    PacketKind,
    Result,
    ResultCodec,
    Submit,
    SubmitCodec,
)
from foldserve_engine.worker.request_memory import RequestMemory
from foldserve_server.engines import EngineSettings
from foldserve_server.engines.client.engine_client import EngineClient
from foldserve_server.engines.client.slabs import Slabs
from foldserve_server.errors import EngineFailed, QueueFull, Unavailable

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
CRASHED = Unavailable("crashed", 5)


class FakeConnection:
    """An engine's end: keeps what is put, and answers when a test says so."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.on_packet: Any = None
        self.request_memory = RequestMemory(SIGNATURE)
        self.submits: list[Submit] = []
        self.cancels: list[tuple[int, int]] = []

    def put(self, kind: PacketKind, record: bytes, descriptors: Sequence[int] = (), *, at_once: bool = False) -> None:
        if kind is PacketKind.ATTACH:
            self.request_memory.attach(Arena.unpack(record), descriptors[0])
            return
        for descriptor in descriptors:
            os.close(descriptor)
        (submit,) = SubmitCodec(0, self.origin).unpack(record)
        assert not submit.stale
        if submit.cancel:
            self.cancels.append((submit.slot, submit.generation))
        else:
            self.submits.append(submit)

    def answer(
        self,
        submit: Submit,
        outcome: Outcome = Outcome.DONE,
        generation: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Doubles the inputs of a request."""
        if outcome is Outcome.DONE and generation is None:
            task = self.request_memory.open(submit, None)
            self.request_memory.write(task, [{"y": task.inputs["x"] * 2}])
        text = submit.generation if generation is None else generation
        record = ResultCodec(0, origin or self.origin).pack(Result(submit.slot, text, outcome, False, ()))
        self.on_packet(Packet(PacketKind.RESULTS, memoryview(record), ()))


class Bench:
    """A client, its pending requests, and an engine."""

    def __init__(self, **settings: Any) -> None:
        self.client = EngineClient(3, SIGNATURE, 4, Credits(100, 1 << 20), EngineSettings(**settings))
        self.pending = self.client.pending
        self.engine = self.attach()

    def attach(self, epoch: int = 1) -> FakeConnection:
        engine = FakeConnection(Origin(3, epoch))
        self.client.connect(engine, epoch)  # type: ignore[arg-type]
        return engine

    async def ask(self, value: float) -> "asyncio.Task[dict[str, Array]]":
        """A request that was submitted."""
        inputs = {"x": np.full((1, 2), value, np.float32)}
        task = asyncio.create_task(self.client.predict(inputs, None))
        await asyncio.sleep(0)
        return task


async def test_an_answer_reaches_its_caller_whatever_the_order() -> None:
    bench = Bench()
    tasks = [await bench.ask(value) for value in (1, 2, 3)]
    for submit in reversed(bench.engine.submits):
        bench.engine.answer(submit)
    assert [(await task)["y"].tolist() for task in tasks] == [[[2, 2]], [[4, 4]], [[6, 6]]]
    assert len(bench.pending) == 0


@pytest.mark.parametrize("deadline_ns", [1 << 63, 10**400])
async def test_a_deadline_beyond_what_is_told_to_engines_is_as_good_as_none(deadline_ns: int) -> None:
    bench = Bench()
    inputs = {"x": np.full((1, 2), 3, np.float32)}
    task = asyncio.create_task(bench.client.predict(inputs, deadline_ns))
    await asyncio.sleep(0)
    bench.engine.answer(bench.engine.submits[0])
    assert (await task)["y"].tolist() == [[6, 6]]


async def test_a_request_that_cannot_be_submitted_leaves_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.engine, "put", lambda *record, **how: [][0])
    with pytest.raises(IndexError):
        await bench.client.predict({"x": np.zeros((1, 2), np.float32)}, None)
    assert (len(bench.pending), bench.pending.rows, bench.pending.bytes) == (0, 0, 0)


async def test_a_callers_slot_is_not_used_again_before_the_engine_is_done_with_it() -> None:
    bench = Bench()
    leaving = await bench.ask(1)
    first = bench.engine.submits[0]
    leaving.cancel()
    await asyncio.wait([leaving])
    assert bench.engine.cancels == [(first.slot, first.generation)]
    staying = await bench.ask(2)
    assert bench.engine.submits[1].slot != first.slot
    bench.engine.answer(first)  # it was computed nevertheless
    await bench.ask(3)
    assert bench.engine.submits[2].slot == first.slot
    assert bench.engine.submits[2].generation == first.generation + 1
    bench.engine.answer(bench.engine.submits[1])
    assert (await staying)["y"].tolist() == [[4, 4]]


async def test_a_late_word_on_an_earlier_request_is_nobodys_answer() -> None:
    bench = Bench()
    await bench.ask(1)
    bench.engine.answer(bench.engine.submits[0])
    task = await bench.ask(2)
    second = bench.engine.submits[1]
    bench.engine.answer(second, generation=second.generation - 1)
    bench.engine.answer(second._replace(slot=999), generation=0)
    assert not task.done()
    assert len(bench.pending) == 1
    bench.engine.answer(second)
    assert (await task)["y"].tolist() == [[4, 4]]


@pytest.mark.parametrize("origin", [Origin(4, 1), Origin(3, 2)])
async def test_an_answer_for_another_front_end_or_of_another_engine_is_nobodys(origin: Origin) -> None:
    bench = Bench()
    task = await bench.ask(1)
    (submit,) = bench.engine.submits
    bench.engine.answer(submit, origin=origin)
    await asyncio.sleep(0)
    assert not task.done()
    bench.engine.answer(submit)
    assert (await task)["y"].tolist() == [[2, 2]]


async def test_credits_that_the_engine_grants_anew_hold_from_then_on() -> None:
    bench = Bench()
    staying = await bench.ask(1)
    bench.engine.on_packet(Packet(PacketKind.CREDITS, memoryview(Credits(1, 1 << 20).pack()), ()))
    with pytest.raises(QueueFull):
        await bench.client.predict({"x": np.zeros((1, 2), np.float32)}, None)
    bench.engine.on_packet(Packet(PacketKind.CREDITS, memoryview(Credits(2, 1 << 20).pack()), ()))
    more = await bench.ask(2)
    for submit in bench.engine.submits:
        bench.engine.answer(submit)
    assert [(await task)["y"].tolist() for task in (staying, more)] == [[[2, 2]], [[4, 4]]]


async def test_an_answer_said_twice_is_heard_once() -> None:
    bench = Bench()
    task = await bench.ask(1)
    for _ in range(2):
        bench.engine.answer(bench.engine.submits[0])
    assert (await task)["y"].tolist() == [[2, 2]]
    assert len(bench.pending) == 0


async def test_after_a_crash_only_the_batch_that_died_is_lost() -> None:
    bench = Bench()
    died, waiting, left = [await bench.ask(value) for value in (1, 2, 3)]
    left.cancel()
    await asyncio.wait([left])
    lost = bench.engine.submits[0]
    bench.client.disconnect({(lost.slot, lost.generation)}, CRASHED)
    with pytest.raises(Unavailable, match="crashed"):
        await died
    with pytest.raises(Unavailable, match="crashed"):
        await bench.client.predict({"x": np.zeros((1, 2), np.float32)}, None)
    restarted = bench.attach(epoch=2)
    assert restarted.submits == [bench.engine.submits[1]]
    restarted.answer(restarted.submits[0])
    assert (await waiting)["y"].tolist() == [[4, 4]]
    assert len(bench.pending) == 0


async def test_whoever_leaves_while_there_is_no_engine_gives_the_slot_back_at_once() -> None:
    bench = Bench()
    task = await bench.ask(1)
    bench.client.disconnect((), CRASHED)
    task.cancel()
    await asyncio.wait([task])
    assert len(bench.pending) == 0
    assert bench.attach(epoch=2).submits == []


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REJECTED])
async def test_what_the_engine_cannot_do_is_an_error(outcome: Outcome) -> None:
    bench = Bench()
    task = await bench.ask(1)
    bench.engine.answer(bench.engine.submits[0], outcome)
    with pytest.raises(EngineFailed):
        await task


async def test_the_arena_is_never_larger_than_what_may_be_queued() -> None:
    arena = Slabs(SIGNATURE, 4, EngineSettings(max_queue_bytes=4 << 20)).arena
    assert arena.size <= 4 << 20


async def test_inputs_of_different_rows_are_refused_and_leave_nothing_behind() -> None:
    two = Signature((*SIGNATURE.inputs, TensorSpec("z", "float32", (-1, 2))), SIGNATURE.outputs)
    client = EngineClient(3, two, 4, Credits(100, 1 << 20), EngineSettings())
    inputs = {"x": np.zeros((3, 2), np.float32), "z": np.zeros((1, 2), np.float32)}
    with pytest.raises(Exception, match="'z' has shape"):
        await client.predict(inputs)
    assert len(client.pending) == 0
