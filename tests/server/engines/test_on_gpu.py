"""A whole engine process with buffers, graphs and page-locked memory, over a GPU that is none."""

import asyncio
import sys
from pathlib import Path

import numpy as np

from tests.server.engines.support import expected, rows, started

COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("gpu_process.py")), "--control")


async def test_many_callers_each_get_their_own_answer(path: Path) -> None:
    async with started(path, command=COMMAND, device="cuda:0", max_batch_size=8, graph_rows=4) as engine:
        draw = np.random.default_rng(7)
        request = [rows(*draw.normal(size=count)) for count in draw.integers(1, 20, 200)]
        answers = await asyncio.gather(*(engine.predict(item) for item in request))
        for item, answer in zip(request, answers, strict=True):
            np.testing.assert_allclose(answer["scores"], expected(path, item), atol=1e-5)
        assert engine.stats.rows > engine.stats.padding > 0


async def test_what_runs_where_is_told(path: Path) -> None:
    async with started(path, command=COMMAND, device="cuda:0", max_batch_size=8, graph_rows=4) as engine:
        assert engine.report.placement == "cuda:0; buffers for batches of 1, 2, 4, 8; CUDA graphs for 1, 2, 4"


async def test_bits_depend_on_nothing_but_the_row_where_that_is_asked_for(path: Path) -> None:
    async with started(path, command=COMMAND, device="cuda:0", max_batch_size=8, deterministic=True) as engine:
        alone = (await engine.predict(rows(3)))["scores"].tobytes()
        others = [engine.predict(rows(*range(count))) for count in (1, 5, 9)]
        answers = await asyncio.gather(*others, *(engine.predict(rows(3)) for _ in range(20)))
        assert {answer["scores"].tobytes() for answer in answers[len(others) :]} == {alone}
