import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_engine.spec import EngineKind
from foldserve_server.engines import LocalEngine
from foldserve_server.engines.serving_engine import ServingEngine
from foldserve_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    QueueFull,
    ResourceExhausted,
    Unavailable,
)
from tests.bundles import make_bundle, sequence_model, two_headed_model
from tests.server.engines.fake_process import Command, Loading
from tests.server.engines.support import REAL, Pipes, expected, in_ms, rows, started


async def test_a_bundle_is_served_by_a_process_of_its_own(path: Path) -> None:
    async with started(path, command=REAL) as engine:
        answer = await engine.predict(rows(1, 2, 3))
        np.testing.assert_allclose(answer["scores"], expected(path, rows(1, 2, 3)), atol=1e-5)
        assert engine.report.pid != os.getpid()
        assert engine.available


async def test_the_report_tells_what_was_verified(path: Path) -> None:
    async with started(path, command=REAL, allowed_batch_sizes=(1, 4)) as engine:
        bundle, report = Bundle.open(path), engine.report
        assert (report.digest, report.manifest) == (bundle.digest, bundle.manifest)
        assert report.verdict.passed
        assert report.verdict.samples == bundle.manifest.golden.samples
        assert list(report.stages) == ["interpreter", "verify", "load", "warm", "golden"]
        assert [size.rows for size in report.warmed] == [1, 4]
        assert report.max_batch_size == 4
        assert report.batches == "batches padded up to 1, 4 rows; warmed: 1, 4"
    async with started(path, command=REAL, max_batch_size=16) as engine:
        assert engine.report.batches == "batches of up to 16 rows; warmed: 1, 16"


async def test_for_a_gpu_batches_are_padded_to_sizes_that_were_warmed(path: Path) -> None:
    (path.parent / Loading.ANYWHERE).touch()
    async with started(path, device="cuda:0", max_batch_size=6) as engine:
        assert [size.rows for size in engine.report.warmed] == [1, 2, 4, 6]
        answer = await engine.predict(rows(1, 2, 3))
        np.testing.assert_allclose(answer["scores"], expected(path, rows(1, 2, 3)), atol=1e-5)
        assert (engine.stats.rows, engine.stats.padding) == (4, 1)
        text = "batches padded up to 1, 2, 4, 6 rows; warmed: 1, 2, 4, 6; on cuda:0, or so it says"
        assert engine.report.batches == text
        assert "; on cuda:0, or so it says" in ServingEngine(engine, EngineKind.ONNXRUNTIME, path).info.summary


async def test_every_input_and_output_has_its_place(tmp_path: Path) -> None:
    async with started(make_bundle(tmp_path, model=two_headed_model()), command=REAL) as engine:
        left, right = np.full((3, 4), 2, np.float32), np.full((3, 2), 5, np.float32)
        answer = await engine.predict({"right": right, "left": left})
        assert answer["joined"].tolist() == np.concatenate([left, right], axis=1).tolist()
        assert answer["product"].shape == (3, 3)


async def test_outputs_that_no_one_could_foresee_come_in_memory_of_their_own(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, model=sequence_model(repeat=40))
    async with started(path, command=REAL) as engine:
        steps = np.random.default_rng(0).normal(size=(2, 500, 4)).astype(np.float32)
        large, small = await asyncio.gather(engine.predict({"steps": steps}), engine.predict({"steps": steps[:1, :2]}))
        assert large["scores"].shape == (2, 20_000, 3)
        assert np.array_equal(large["scores"][:, :500], large["scores"][:, -500:])
        assert small["scores"].shape == (1, 80, 3)


async def test_a_request_larger_than_a_slab_has_memory_of_its_own_and_is_answered_in_order(path: Path) -> None:
    async with started(path, max_batch_size=64, max_queue_rows=100_000) as engine:
        inputs = {"features": np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)}
        large, small = await asyncio.gather(engine.predict(inputs), engine.predict(rows(1)))
        np.testing.assert_allclose(large["scores"], expected(path, inputs), atol=1e-5)
        np.testing.assert_allclose(small["scores"], expected(path, rows(1)), atol=1e-5)


async def test_a_request_larger_than_any_may_be_is_refused(path: Path) -> None:
    async with started(path, max_request_bytes=1000, max_queue_rows=50) as engine:
        with pytest.raises(ResourceExhausted, match="at most 1,000"):
            await engine.predict(rows(*range(40)))
        with pytest.raises(ResourceExhausted, match=r"bytes|rows"):
            await engine.predict(rows(*range(51)))
        await engine.predict(rows(1))


async def test_no_rows_are_answered_with_no_rows(path: Path) -> None:
    async with started(path) as engine:
        answer = await engine.predict({"features": np.zeros((0, 4), np.float32)})
        assert answer["scores"].shape == (0, 3) and answer["scores"].dtype == np.float32


async def test_arrays_of_any_layout_are_taken_and_answers_are_the_callers_own(path: Path) -> None:
    async with started(path) as engine:
        inputs = np.asfortranarray(rows(1, 2, 3)["features"])
        first = (await engine.predict({"features": inputs}))["scores"]
        before = first.copy()
        await engine.predict(rows(7, 8, 9))
        assert np.array_equal(first, before)
        first[:] = 0  # it may be written to


async def test_another_dtype_is_the_callers_fault(path: Path) -> None:
    async with started(path) as engine:
        with pytest.raises(InvalidRequest, match="dtypes"):
            await engine.predict({"features": np.zeros((1, 4), np.float64)})
        await engine.predict(rows(1))


async def test_a_failure_is_one_callers_and_tells_no_internals(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path) as engine:
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        failing, fine = engine.predict(rows(Command.FAIL)), engine.predict(rows(1))
        together = asyncio.gather(failing, fine, return_exceptions=True)
        await pipes.release()
        error, answer = await together
        assert isinstance(error, EngineFailed)
        assert "secret" not in str(error)
        assert not isinstance(answer, BaseException)
        np.testing.assert_allclose(answer["scores"], expected(path, rows(1)), atol=1e-5)
        await held


async def test_batches_are_padded_and_nobody_sees_it(path: Path) -> None:
    async with started(path, allowed_batch_sizes=(4, 16), batch_timeout_micros=2000) as engine:
        request = [rows(*range(count)) for count in (1, 3, 5, 16, 23)]
        answers = await asyncio.gather(*(engine.predict(inputs) for inputs in request))
        for inputs, answer in zip(request, answers, strict=True):
            np.testing.assert_allclose(answer["scores"], expected(path, inputs), atol=1e-5)


async def test_a_large_request_fails_with_any_of_its_parts_and_nobody_else_does(path: Path) -> None:
    async with started(path, max_batch_size=4) as engine:
        failing, fine = await asyncio.gather(
            engine.predict(rows(1, 2, 3, 4, 5, Command.FAIL, 7, 8, 9)),
            engine.predict(rows(*range(10))),
            return_exceptions=True,
        )
        assert isinstance(failing, EngineFailed)
        assert isinstance(fine, dict)
        np.testing.assert_allclose(fine["scores"], expected(path, rows(*range(10))), atol=1e-5)


async def test_a_deadline_passes_while_the_engine_is_busy_with_others(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path) as engine:
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        with pytest.raises(DeadlineExceeded):
            await engine.predict(rows(Command.DIE), deadline_ns=in_ms(1))
        with pytest.raises(DeadlineExceeded):
            await engine.predict(rows(Command.DIE), deadline_ns=in_ms(-1))
        await pipes.release()
        await held
        await engine.predict(rows(1), deadline_ns=in_ms(60_000))


async def test_what_a_caller_who_left_had_asked_is_not_computed(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path) as engine:
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        leaving = asyncio.create_task(engine.predict(rows(Command.DIE)))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await pipes.release()
        await held
        await engine.predict(rows(1))
        assert engine.available


async def test_a_full_queue_is_told_with_a_time_to_wait(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path, max_queue_rows=3) as engine:
        held = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        waiting = asyncio.create_task(engine.predict(rows(1, 2)))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await engine.predict(rows(1))
        assert caught.value.retry_after_ms
        await pipes.release()
        await asyncio.gather(held, waiting)
        await engine.predict(rows(1, 2, 3))


async def test_the_room_of_a_caller_who_left_is_free_only_when_the_engine_says_so(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path, max_queue_rows=1) as engine:
        leaving = asyncio.create_task(engine.predict(rows(Command.HOLD)))
        await pipes.entered()
        leaving.cancel()
        await asyncio.wait([leaving])
        with pytest.raises(QueueFull):
            await engine.predict(rows(1))
        await pipes.release()
        await until_there_is_room(engine)


async def until_there_is_room(engine: LocalEngine) -> None:
    while True:
        try:
            await engine.predict(rows(1))
        except QueueFull:
            await asyncio.sleep(0)
        else:
            return


async def test_stopping_answers_what_was_accepted_and_refuses_what_comes(path: Path) -> None:
    pipes = Pipes(path)
    async with started(path) as engine:
        accepted = [asyncio.create_task(engine.predict(rows(value))) for value in (Command.HOLD, 1, 2)]
        await pipes.entered()
        stopping = asyncio.create_task(engine.stop(60))
        await asyncio.sleep(0)
        assert not engine.available
        with pytest.raises(Unavailable, match="unloaded"):
            await engine.predict(rows(1))
        await pipes.release()
        await asyncio.gather(*accepted, stopping)
        assert not Path(f"/proc/{engine.report.pid}").exists()


async def test_stopping_without_grace_tells_those_who_wait(path: Path) -> None:
    async with started(path) as engine:
        hanging = asyncio.create_task(engine.predict(rows(Command.HANG)))
        await asyncio.sleep(0)
        await engine.stop(0)
        with pytest.raises(Unavailable, match="unloaded"):
            await hanging
