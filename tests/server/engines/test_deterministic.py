"""A row's bits are the same alone, among strangers, in every place and under load, where that was asked for."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from foldserve_contract.signature import Array
from foldserve_server.engines import LocalEngine
from foldserve_server.errors import EngineFailed
from tests.server.engines.fake_process import STEADY, Command, Loading
from tests.server.engines.support import rows, started


@pytest.fixture
def fickle(path: Path) -> Path:
    """A bundle whose engine's last bits depend on place and batch size, but in batches of one size."""
    (path.parent / Loading.FICKLE).touch()
    return path


async def bits_under_load(engine: LocalEngine, *, exact: bool = False) -> set[bytes]:
    """The answers for one row, asked alone and in requests of all sizes that come together."""
    draw = random.Random(0)
    results: set[bytes] = set()

    async def ask(strangers: int) -> None:
        place = draw.randrange(strangers + 1)
        inputs = rows(*(draw.uniform(-9, 9) for _ in range(strangers)))["features"]
        inputs = np.insert(inputs, place, rows(7)["features"][0], axis=0)
        answer = await engine.predict({"features": inputs}, None, exact)
        results.add(answer["scores"][place].tobytes())

    await ask(0)
    for _ in range(10):
        await asyncio.gather(*(ask(draw.randrange(9)) for _ in range(20)))
    return results


async def test_the_bits_of_a_row_never_change(fickle: Path) -> None:
    async with started(fickle, max_batch_size=8, deterministic=True) as engine:
        assert engine.report.exact_rows == STEADY
        assert engine.report.batches == f"batches of {STEADY} rows, exact; warmed: 1, {STEADY}, 8"
        assert len(await bits_under_load(engine)) == 1


async def test_without_it_they_do(fickle: Path) -> None:
    async with started(fickle, max_batch_size=8) as engine:
        assert len(await bits_under_load(engine)) > 1


async def test_a_single_request_may_ask_for_it(fickle: Path) -> None:
    async with started(fickle, max_batch_size=8) as engine:
        assert engine.report.exact_rows == 1
        assert len(await bits_under_load(engine, exact=True)) == 1


async def test_the_bits_of_a_row_do_not_change_when_another_request_of_its_batch_fails(fickle: Path) -> None:
    async def ask(engine: LocalEngine, first: float) -> Array | None:
        try:
            return (await engine.predict(rows(first)))["scores"]
        except EngineFailed:
            return None

    async with started(fickle, max_batch_size=8, deterministic=True) as engine:
        alone = await ask(engine, 7)
        for _ in range(10):
            failed, together, _ = await asyncio.gather(*(ask(engine, item) for item in (Command.FAIL, 7, 3)))
            assert failed is None and alone is not None and together is not None
            assert together.tobytes() == alone.tobytes()
