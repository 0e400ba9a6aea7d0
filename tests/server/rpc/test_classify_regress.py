import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.rpc import classify_regress_service
from foldserve_server.rpc.classify_regress_service import CLASSIFY, REGRESS
from foldserve_server.rpc.example_messages import examples
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving

from .calls import listening

Code = grpc.StatusCode
ROWS = [[1.0, 2.5], [-3.0, 4.0]]


def signature(dtype: str = "float32", row: tuple[int, ...] = (2,)) -> Signature:
    return Signature((TensorSpec("x", dtype, (-1, *row)),), (TensorSpec("y", "float32", (-1, *row)),))


def table_of(signature: Signature, labels: tuple[str, ...] | None = None) -> RoutingTable:
    return serving(FakeEngine(replace(manifest(signature=signature), labels=labels)), version=7)


def fill(example: Any, **features: Any) -> None:
    for name, values in features.items():
        feature = example.features.feature[name]
        if isinstance(values, bytes):
            feature.bytes_list.value.append(values)
        elif all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)


def request(method: str = "Classify", *examples: dict[str, Any], name: str = "m") -> Any:
    message = PREDICTION_METHODS[method].request()
    message.model_spec.name = name
    for features in examples:
        fill(message.input.example_list.examples.add(), **features)
    return message


def ask(method: str, message: Any, table: RoutingTable | None = None) -> Any:
    async def scenario() -> Any:
        async with listening(table or table_of(signature())) as caller:
            return await caller.call(method, message)

    return asyncio.run(scenario())


def refusal(method: str, message: Any, table: RoutingTable | None = None) -> tuple[Code, str]:
    async def scenario() -> tuple[Code, str]:
        async with listening(table or table_of(signature())) as caller:
            return await caller.failure(method, message)

    return asyncio.run(scenario())


def pairs(result: Any) -> list[list[tuple[str, float]]]:
    return [[(item.label, item.score) for item in row.classes] for row in result.classifications]


@pytest.mark.parametrize(("labels", "names"), [(None, ["0", "1"]), (("cat", "dog"), ["cat", "dog"])])
def test_every_class_is_scored_in_the_model_s_order(labels: tuple[str, ...] | None, names: list[str]) -> None:
    message = request("Classify", *({"x": row} for row in ROWS))
    response = ask("Classify", message, table_of(signature(), labels))
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("m", "serving_default", 7)
    assert pairs(response.result) == [list(zip(names, np.multiply(row, 2).tolist(), strict=True)) for row in ROWS]


@pytest.mark.parametrize("row", [(), (1,)])
def test_a_regression_is_one_value_for_each_row(row: tuple[int, ...]) -> None:
    response = ask("Regress", request("Regress", {"x": [1.5]}, {"x": [-2.0]}), table_of(signature(row=row)))
    assert [item.value for item in response.result.regressions] == [3, -4]
    assert response.model_spec.version.value == 7


def test_features_that_are_not_inputs_are_ignored() -> None:
    assert len(ask("Classify", request("Classify", {"x": [1.0, 2.0], "other": [3]})).result.classifications) == 1


def test_a_row_may_be_sent_as_bytes() -> None:
    response = ask("Classify", request("Classify", {"x": np.array([1.5, 2], "<f4").tobytes()}))
    assert [score for _, score in pairs(response.result)[0]] == [3, 4]


def test_the_context_supplies_features_that_an_example_lacks() -> None:
    message = request()
    fill(message.input.example_list_with_context.context, x=[9.0, 9.0])
    for features in ({"x": [1.0, 2.0]}, {}):
        fill(message.input.example_list_with_context.examples.add(), **features)
    rows = pairs(ask("Classify", message).result)
    assert [[score for _, score in row] for row in rows] == [[2, 4], [18, 18]]


def test_integers_are_read_for_inputs_of_integers() -> None:
    table = table_of(signature("uint8"))
    response = ask("Classify", request("Classify", {"x": [3, 100]}), table)
    assert [score for _, score in pairs(response.result)[0]] == [6, 200]


@pytest.mark.parametrize(
    ("table", "message", "code", "words"),
    [
        (lambda: table_of(signature()), request(), Code.INVALID_ARGUMENT, "Input is empty."),
        (
            lambda: table_of(signature()),
            request("Classify", {"z": [1.0]}),
            Code.INVALID_ARGUMENT,
            "Name: <unknown>, Feature: x (data type: float) is required but could not be found.",
        ),
        (
            lambda: table_of(signature()),
            request("Classify", {"x": [1.0, 2.0]}, {"x": [1, 2]}),
            Code.INVALID_ARGUMENT,
            "Name: <unknown>, Key: x, Index: 1.  Data types don't match. Data type: int64 but expected type: float",
        ),
        (
            lambda: table_of(signature()),
            request("Classify", {"x": [1.0]}),
            Code.INVALID_ARGUMENT,
            "Name: <unknown>, Key: x, Index: 0.  Number of float values != expected."
            "  Values size: 1 but output shape: [2]",
        ),
        (
            lambda: table_of(signature("uint8")),
            request("Classify", {"x": [3, 256]}),
            Code.INVALID_ARGUMENT,
            "feature 'x' of example 0 holds 256, which uint8 cannot",
        ),
        (
            lambda: table_of(signature()),
            request("Classify", {"x": b"1234"}),
            Code.INVALID_ARGUMENT,
            "feature 'x' of example 0: bytes must be one value of 8 bytes, a row of shape [2] and dtype float32;"
            " received 4 bytes",
        ),
        (
            lambda: table_of(signature(row=(-1,))),
            request("Classify", {"x": [1.0]}),
            Code.FAILED_PRECONDITION,
            "input 'x' of shape [-1, -1] has dimensions that are free: use Predict",
        ),
        (
            lambda: table_of(signature(row=())),
            request("Classify", {"x": [1.0]}),
            Code.FAILED_PRECONDITION,
            "classification needs one output of floats of shape [rows, classes];"
            " 'y' is float32 of shape [-1]: use Predict",
        ),
        (
            lambda: table_of(TWO_BY_TWO),
            request("Classify", {"x": [1.0]}),
            Code.FAILED_PRECONDITION,
            "classification needs one output of shape [rows, classes]; the model has p, q: use Predict",
        ),
        (
            lambda: table_of(signature(), ("cat",)),
            request("Classify", {"x": [1.0, 2.0]}),
            Code.FAILED_PRECONDITION,
            "the bundle has labels for 1 classes, and the model gives 2",
        ),
        (
            lambda: table_of(signature()),
            request("Classify", {"x": [1.0, 2.0]}, name="n"),
            Code.NOT_FOUND,
            "Servable not found for request: Latest(n)",
        ),
    ],
)
def test_an_impossible_classification_is_refused_with_the_reason(
    table: Callable[[], RoutingTable], message: Any, code: Code, words: str
) -> None:
    assert refusal("Classify", message, table()) == (code, words)


def test_a_missing_signature_is_named() -> None:
    message = request("Regress", {"x": [1.0]})
    message.model_spec.signature_name = "s"
    assert refusal("Regress", message) == (Code.INVALID_ARGUMENT, "No signature was found with the name: s")


def test_an_output_of_several_values_is_not_a_regression() -> None:
    code, words = refusal("Regress", request("Regress", {"x": [1.0, 2.0]}))
    assert code is Code.FAILED_PRECONDITION and "regression needs one output of floats" in words


def multi(*tasks: tuple[str, str]) -> Any:
    message = PREDICTION_METHODS["MultiInference"].request()
    fill(message.input.example_list.examples.add(), x=[1.5])
    for name, method in tasks:
        task = message.tasks.add(method_name=method)
        task.model_spec.name = name
    return message


def test_several_tasks_are_answered_in_one_response() -> None:
    table = table_of(signature(row=(1,)))
    classify, regress = ask("MultiInference", multi(("m", CLASSIFY), ("m", REGRESS)), table).results
    assert pairs(classify.classification_result) == [[("0", 3)]]
    assert [value.value for value in regress.regression_result.regressions] == [3]
    assert classify.model_spec.version.value == regress.model_spec.version.value == 7


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        ((), Code.INVALID_ARGUMENT, "Inference request must have at least one task."),
        (
            (("m", CLASSIFY), ("n", REGRESS)),
            Code.INVALID_ARGUMENT,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ((("m", CLASSIFY), ("m", CLASSIFY)), Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: "),
        ((("m", "predict"),), Code.UNIMPLEMENTED, "Unsupported signature method_name: predict"),
    ],
)
def test_tasks_that_do_not_go_together_are_refused(tasks: Any, code: Code, words: str) -> None:
    assert refusal("MultiInference", multi(*tasks), table_of(signature(row=(1,)))) == (code, words)


def test_the_examples_of_several_tasks_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    def counted(message: Any) -> Any:
        read.append(message)
        return examples(message)

    monkeypatch.setattr(classify_regress_service, "examples", counted)
    message = PREDICTION_METHODS["MultiInference"].request()
    fill(message.input.example_list.examples.add(), x=[1.0, 2.0])
    for key in ("", "serving_default"):
        task = message.tasks.add(method_name=CLASSIFY)
        task.model_spec.name, task.model_spec.signature_name = "m", key
    assert len(ask("MultiInference", message).results) == 2 and len(read) == 1


def test_a_context_is_not_copied_for_each_example() -> None:
    message = request("Classify")
    context = message.input.example_list_with_context
    fill(context.context, **{f"f{index}": [1.0] for index in range(50)})
    for _ in range(3):
        fill(context.examples.add(), x=[1.0, 2.0])
    entry: list[Any] = list(examples(message.input))
    first, second, third = entry
    assert first.maps[1] is second.maps[1] is third.maps[1] and first["f7"] is third["f7"]
