import asyncio
import logging
from collections.abc import Mapping

import numpy as np
import pytest

from foldserve_contract.signature import Array, Arrays
from foldserve_server.errors import Unavailable
from foldserve_server.predict.shadow import MOST_AT_ONCE, Mirror, deviations
from tests.server.fakes import FakeEngine

X = np.arange(4, dtype=np.float32).reshape(2, 2)


def outputs(by: float = 0.0) -> dict[str, Array]:
    """Answers to callers: twice X, as the fake engine answers, plus an offset."""
    return {"y": X * 2 + np.float32(by)}


def always() -> float:
    return 0.0


async def shown(mirror: Mirror, *answers: Mapping[str, Array], inputs: Arrays | None = None) -> Mirror:
    for answer in answers:
        mirror.show({"x": X} if inputs is None else inputs, answer)
    await mirror.settled()
    return mirror


def test_answers_that_agree_are_counted() -> None:
    drift = asyncio.run(shown(Mirror(FakeEngine(), 1, always), outputs(), outputs())).drift
    assert (drift.engine, drift.compared, drift.beyond, drift.failed, drift.skipped) == ("fake", 2, 0, 0, 0)
    assert drift.worst == {"y": 0.0} and drift.bounds == {"y": 1e-5}


def test_the_worst_deviation_stays_and_one_beyond_the_promise_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = [outputs(by) for by in (2**-18, 0.5, 0.25, 0)]
    drift = asyncio.run(shown(Mirror(FakeEngine(), 1, always), *answers)).drift
    assert drift.worst == {"y": 0.5}
    assert (drift.compared, drift.beyond) == (4, 2)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned[-1] == "m/1: fake answers otherwise: output 'y' deviates by 0.5; 1e-05 is promised"
    assert len(warned) == 1


def test_only_the_share_is_shown() -> None:
    draws = iter([0.0, 0.24, 0.25, 0.9])
    drift = asyncio.run(shown(Mirror(FakeEngine(), 0.25, lambda: next(draws)), *[outputs()] * 4)).drift
    assert drift.compared == 2


async def test_nobody_waits_for_a_shadow_and_it_is_not_flooded() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    mirror = Mirror(engine, 1, always)
    for _ in range(MOST_AT_ONCE + 3):
        mirror.show({"x": X}, outputs())
    assert mirror.drift.skipped == 3
    engine.gate.set()
    await mirror.settled()
    assert mirror.drift.compared == MOST_AT_ONCE


def test_a_shadow_that_is_being_started_again_is_asked_nothing() -> None:
    engine = FakeEngine()
    engine.available = False
    assert asyncio.run(shown(Mirror(engine, 1, always), outputs())).drift.skipped == 1
    assert not engine.asked


@pytest.mark.parametrize("error", [Unavailable("crashed"), ZeroDivisionError()])
def test_a_shadow_that_fails_is_counted(error: Exception) -> None:
    engine = FakeEngine()
    engine.error = error
    drift = asyncio.run(shown(Mirror(engine, 1, always), outputs())).drift
    assert (drift.failed, drift.compared) == (1, 0)


async def test_when_it_is_closed_it_leaves_what_is_not_compared_and_ends_its_engine() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    mirror = Mirror(engine, 1, always)
    mirror.show({"x": X}, outputs())
    await engine.entered.wait()
    await mirror.close()
    await mirror.settled()
    assert engine.left == 1 and engine.stopped.is_set()


@pytest.mark.parametrize(
    ("first", "other", "deviation"),
    [
        ([1.0, np.nan], [1.5, np.nan], 0.5),
        ([np.inf], [np.inf], 0.0),
        ([np.nan], [0.0], np.nan),
        ([1.0], [1.0, 1.0], np.inf),
    ],
)
def test_only_what_both_say_counts_as_agreement(first: list[float], other: list[float], deviation: float) -> None:
    results = deviations({"y": np.array(first)}, {"y": np.array(other)})
    np.testing.assert_equal(results, {"y": deviation})


def test_an_answer_that_is_not_finite_is_an_infinite_deviation() -> None:
    answer = {"y": outputs()["y"] * np.float32(np.nan)}
    drift = asyncio.run(shown(Mirror(FakeEngine(), 1, always), answer)).drift
    assert drift.worst == {"y": np.inf} and drift.beyond == 1
