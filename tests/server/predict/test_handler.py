import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array
from foldserve_server.errors import DeadlineExceeded, EngineFailed, InvalidRequest, ServingError, SignatureNotFound
from foldserve_server.models.query import InputTensor, ModelRef, PredictResult, Query
from foldserve_server.predict.handler import PredictHandler
from foldserve_server.predict.request_options import RequestOptions
from foldserve_server.stats.metric_counters import MetricCounters
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def offer(array: Array) -> InputTensor:
    return InputTensor(array.dtype.name, array.shape, lambda: array)


def query(inputs: dict[str, InputTensor] | None = None, **fields: Any) -> Query:
    return Query(ModelRef("m"), {"x": offer(ROWS)} if inputs is None else inputs, **fields)


def predict(
    request: Query, engine: FakeEngine | None = None, limits: RequestOptions | None = None, now: int = 0
) -> PredictResult:
    return asyncio.run(
        PredictHandler(
            serving(engine or FakeEngine()), limits or RequestOptions(), lambda: now, MetricCounters()
        ).predict(request)
    )


def refusal(request: Query, engine: FakeEngine | None = None, **how: Any) -> str:
    engine = engine or FakeEngine()
    with pytest.raises(ServingError) as caught:
        predict(request, engine, **how)
    assert not engine.asked, "the engine must not see it"
    assert type(caught.value) is InvalidRequest
    return str(caught.value)


def two(**inputs: Array) -> tuple[Query, FakeEngine]:
    return query({name: offer(array) for name, array in inputs.items()}), FakeEngine(manifest(signature=TWO_BY_TWO))


def test_the_engine_s_answer_comes_with_the_version() -> None:
    answer = predict(query())
    assert answer.version == 1
    np.testing.assert_array_equal(answer.outputs["y"], ROWS * 2)


def test_an_unknown_signature_is_named() -> None:
    with pytest.raises(SignatureNotFound, match=r'^Serving signature key "nope" not found\.$'):
        predict(query(signature="nope"))


def test_too_many_inputs_are_told_apart_from_too_few() -> None:
    assert refusal(query({"x": offer(ROWS), "b": offer(ROWS)})) == (
        "input size does not match signature: 2!=1 len({b,x}) != len({x}). Sent extra: {b}. Missing but required: {}."
    )
    assert refusal(query({})) == (
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."
    )


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    assert refusal(query({"z": offer(ROWS)})) == (
        "Signature input alias: x(feed name: x:0) not found in request and no default value provided."
        " Inputs expected to be in the request {z}, or default input alias set: "
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ROWS.astype(np.float64), "input 'x': expected dtype float32, received float64"),
        (ROWS.astype(np.uint8), "input 'x': expected dtype float32, received uint8"),
        (ROWS[0], "input 'x': expected shape [-1, 2] (-1 is free), received [2]"),
        (np.float32(1).reshape(()), "input 'x': expected shape [-1, 2] (-1 is free), received []"),
        (ROWS.reshape(2, 3), "input 'x': expected shape [-1, 2] (-1 is free), received [2, 3]"),
        (np.zeros((5, 2), np.float32), "Task size 5 is larger than maximum input batch size 4"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_before_the_engine(array: Array, message: str) -> None:
    assert refusal(query({"x": offer(array)})) == message


def test_a_large_request_reaches_an_engine_that_may_split_it() -> None:
    request = query({"x": offer(np.zeros((5, 2), np.float32))})
    assert predict(request, limits=RequestOptions(split_large=True)).outputs["y"].shape == (5, 2)


def test_inputs_of_unequal_rows_are_refused() -> None:
    request, engine = two(a=np.zeros((2, 2), np.float32), b=np.zeros((1, 3, 7), np.int64))
    assert refusal(request, engine).startswith("Batching Run() input tensors must have equal 0th-dimension size")


def unreadable() -> Array:
    raise TensorError("4 bytes are missing")


@pytest.mark.parametrize(
    "flaw",
    [
        InputTensor("float32", (3, 2), unreadable),
        InputTensor(None, (3, 2), unreadable),
        InputTensor("float32", None, unreadable),
    ],
)
def test_a_tensor_that_cannot_be_read_is_a_parsing_error(flaw: InputTensor) -> None:
    assert refusal(query({"x": flaw})).startswith("tensor parsing error: x")


def test_a_header_that_does_not_fit_is_refused_without_reading_the_content() -> None:
    assert "expected shape" in refusal(query({"x": InputTensor("float32", (1 << 40, 3), unreadable)}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_numbers_are_refused_only_when_asked_for(value: float) -> None:
    spoiled = {"x": offer(np.full((1, 2), value, np.float32))}
    assert "NaN or infinity" in refusal(query(spoiled), limits=RequestOptions(reject_nonfinite=True))
    assert predict(query(spoiled)).outputs["y"].shape == (1, 2)


def test_no_rows_are_answered_with_no_rows_and_no_work() -> None:
    engine = FakeEngine()
    answer = predict(query({"x": offer(ROWS[:0])}), engine)
    assert answer.outputs["y"].shape == (0, 2) and answer.outputs["y"].dtype == np.float32
    assert not engine.asked


def test_outputs_can_be_chosen() -> None:
    request, engine = two(a=np.zeros((0, 2), np.float32), b=np.zeros((0, 3, 7), np.int64))
    assert set(predict(request, engine).outputs) == {"p", "q"}
    chosen = Query(request.model, request.inputs, outputs=("q",))
    assert {name: array.shape for name, array in predict(chosen, engine).outputs.items()} == {"q": (0, 0)}


def test_an_output_that_is_unknown_or_repeated_is_refused() -> None:
    assert refusal(query(outputs=("y", "z"))) == (
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}."
    )
    assert refusal(query(outputs=("y", "y"))) == "duplicate output tensor alias: y"


def test_a_deadline_reaches_the_engine_and_one_that_passed_does_not() -> None:
    engine = FakeEngine()
    predict(query(deadline_ns=11), engine, now=10)
    assert engine.deadlines == [11]
    with pytest.raises(DeadlineExceeded):
        predict(query(deadline_ns=10), engine, now=10)
    assert len(engine.asked) == 1


def test_an_engine_that_forgets_an_output_has_failed() -> None:
    engine = FakeEngine(manifest(signature=TWO_BY_TWO))
    engine.predict = answer_nothing  # type: ignore[method-assign]
    request, _ = two(a=np.zeros((1, 2), np.float32), b=np.zeros((1, 3, 7), np.int64))
    with pytest.raises(EngineFailed):
        predict(request, engine)


async def answer_nothing(
    inputs: Mapping[str, Array], deadline_ns: int | None, exact: bool = False
) -> Mapping[str, Array]:
    return {}


async def test_a_version_is_drained_when_its_last_caller_has_its_answer() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    table = serving(engine)
    servable = table.find(ModelRef("m"))
    predictor = PredictHandler(table, RequestOptions(), lambda: 0, MetricCounters())
    calls = [asyncio.ensure_future(predictor.predict(query())) for _ in range(2)]
    await engine.entered.wait()
    drained = asyncio.ensure_future(servable.drained())
    calls[0].cancel()
    await asyncio.sleep(0)
    assert not drained.done()
    engine.gate.set()
    await asyncio.wait_for(drained, 5)
    assert (await calls[1]).version == 1
