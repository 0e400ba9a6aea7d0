import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature, TensorSpec
from foldserve_server.errors import InvalidRequest
from foldserve_server.rest.v1.predict_json import PredictBody, dump, read_predict, write_predict

SPEC = TensorSpec("x", "float32", (-1, 2))
OUTPUT = (TensorSpec("y", "float32", (-1, 2)),)
PAIR = (TensorSpec("a", "float32", (-1, 2)), TensorSpec("b", "int64", (-1,)))


def read(value: Any, *specs: TensorSpec) -> PredictBody:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_predict(content, {DEFAULT_SIGNATURE: Signature(specs or (SPEC,), OUTPUT)})


def refused(value: Any, *specs: TensorSpec) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(value, *specs)
    return str(caught.value)


def is_same(array: Array, expected: Any, dtype: str = "float32") -> bool:
    other = np.array(expected, dtype)
    return array.dtype == other.dtype and array.shape == other.shape and np.array_equal(array, other, equal_nan=True)


ROWS = [[1, 2.5], [-3, 4]]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"instances": ROWS}, True),
        ({"instances": [{"x": row} for row in ROWS]}, True),
        ({"inputs": ROWS}, False),
        ({"inputs": {"x": ROWS}}, False),
        ({"signature_name": DEFAULT_SIGNATURE, "instances": ROWS}, True),
        ({"signature_name": "", "instances": ROWS}, True),
    ],
)
def test_a_single_input_may_go_without_its_name(value: Any, rows: bool) -> None:
    body = read(value)
    assert body.rows is rows and body.signature == DEFAULT_SIGNATURE
    assert is_same(body.inputs["x"], ROWS)


@pytest.mark.parametrize(
    "value",
    [
        {"instances": [{"a": [1, 2], "b": 7}, {"b": 8, "a": [3, 4]}]},
        {"inputs": {"b": [7, 8], "a": [[1, 2], [3, 4]]}},
    ],
)
def test_several_inputs_go_by_name(value: Any) -> None:
    inputs = read(value, *PAIR).inputs
    assert is_same(inputs["a"], [[1, 2], [3, 4]]) and is_same(inputs["b"], [7, 8], "int64")


def test_numbers_that_are_not_finite_have_literals_of_their_own() -> None:
    inputs = read(b'{"instances": [[NaN, Infinity], [-Infinity, 0]]}').inputs
    assert is_same(inputs["x"], [[np.nan, np.inf], [-np.inf, 0]])


def test_an_array_may_be_sent_as_bytes() -> None:
    rows = np.array(ROWS, "<f4")
    single = {"b64": base64.b64encode(rows.tobytes()).decode()}
    rows_of_bytes = [{"b64": base64.b64encode(row.tobytes()).decode()} for row in rows]
    for value in ({"inputs": single}, {"inputs": {"x": single}}, {"instances": rows_of_bytes}):
        assert is_same(read(value).inputs["x"], ROWS)
    assert is_same(read({"instances": [{"x": row} for row in rows_of_bytes]}).inputs["x"], ROWS)


@pytest.mark.parametrize("value", [{"instances": []}, {"inputs": []}])
def test_an_empty_list_is_a_batch_of_no_rows(value: Any) -> None:
    assert read(value).inputs["x"].shape[0] == 0


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        (SPEC, b"{", "JSON Parse error: Expecting property name enclosed in double quotes at offset: 1"),
        (SPEC, b"[" * 100_000, "JSON Parse error: "),
        (SPEC, b"\xff", "JSON Parse error: "),
        (SPEC, [], "Expected a JSON object, received list"),
        (SPEC, {}, "Missing 'inputs' or 'instances' key"),
        (SPEC, {"instances": ROWS, "inputs": ROWS}, "Not formatted correctly expecting only one of"),
        (SPEC, {"signature_name": "s", "inputs": ROWS}, 'Serving signature name: "s" not found in signature def'),
        (SPEC, {"signature_name": 3, "inputs": ROWS}, "'signature_name' key must be a string value."),
        (SPEC, {"instances": 3}, "Expecting 'instances' value to be an list/array"),
        (SPEC, {"inputs": {"y": ROWS}}, "Missing named input: x in 'inputs' object."),
        (SPEC, {"inputs": {"x": ROWS, "z": 1}}, "Failed to process 'inputs' object. Unexpected named input: z"),
        (
            SPEC,
            {"instances": [{"y": 1}]},
            "Failed to process element: 0 of 'instances' list. JSON object: does not have",
        ),
        (SPEC, {"instances": [{"x": [1, 2]}, 3]}, "Failed to process element: 1 of 'instances' list."),
        (SPEC, {"instances": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (SPEC, {"instances": [[1, [2]], [3, 4]]}, "Encountered list at unexpected level: 2 expected < 2"),
        (SPEC, {"instances": [[1, 2], 3]}, "Encountered Number 3 at level: 1 where a list is expected"),
        (SPEC, {"instances": [[1, "2"]]}, 'JSON Value: "2" Type: String is not of expected type: float'),
        (SPEC, {"instances": [[1, None]]}, "JSON Value: null Type: Null is not of expected type: float"),
        (SPEC, {"instances": [[1, True]]}, "JSON Value: true Type: Bool is not of expected type: float"),
        (SPEC, {"instances": [[1, 1e39]]}, "JSON Value: 1e+39 Type: Number is not of expected type: float"),
        (SPEC, {"instances": [[1, {"b64": "AA=="}]]}, "JSON Value: {"),
        (PAIR[1], {"instances": [1.5]}, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
        (PAIR[1], {"instances": [1 << 70]}, "the value is not an array of int64"),
        (TensorSpec("u", "uint8", (-1,)), {"instances": [1, 256]}, "JSON Value: 256 Type: Number is not of expected"),
        (
            TensorSpec("u", "uint8", (-1,)),
            {"instances": [-1]},
            "JSON Value: -1 Type: Number is not of expected type: uint8",
        ),
        (
            TensorSpec("u", "bool", (-1,)),
            {"instances": [1]},
            "JSON Value: 1 Type: Number is not of expected type: bool",
        ),
        (
            SPEC,
            {"inputs": {"b64": "AAA="}},
            "input 'x': a row of shape [2] and dtype float32 takes 8 bytes, received 2",
        ),
        (SPEC, {"inputs": {"b64": "%"}}, "Unable to base64 decode: "),
        (SPEC, {"inputs": {"b64": 3}}, "Unable to base64 decode: "),
        (SPEC, {"instances": [{"b64": "AAAAAAAAAAA="}, [1, 2]]}, "JSON Value: [1, 2] Type: Array is not of expected"),
    ],
)
def test_an_invalid_request_is_refused_in_tensorflow_serving_s_words(
    spec: TensorSpec, value: Any, message: str
) -> None:
    assert message in refused(value, spec)


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_several_inputs_cannot_go_without_names(key: str) -> None:
    assert "as multiple input tensors required as per tensorinfo_map" in refused({key: ROWS}, *PAIR)


def test_bytes_need_a_fixed_shape() -> None:
    assert "dimensions that are free" in refused({"inputs": {"b64": "AAAA"}}, TensorSpec("x", "float32", (-1, -1)))


def test_answers_have_the_layout_of_their_requests() -> None:
    single = {"y": np.array([[1, 2.5]], np.float32)}
    assert json.loads(write_predict(single, True)) == {"predictions": [[1, 2.5]]}
    assert json.loads(write_predict(single, False)) == {"outputs": [[1, 2.5]]}
    pair = {"y": np.array([[1.0], [2.0]]), "z": np.array([True, False])}
    rows = {"predictions": [{"y": [1], "z": True}, {"y": [2], "z": False}]}
    assert json.loads(write_predict(pair, True)) == rows
    assert json.loads(write_predict(pair, False)) == {"outputs": {"y": [[1], [2]], "z": [True, False]}}


def test_numbers_are_written_in_the_fewest_digits_of_their_type() -> None:
    values = np.array([0.1, 1 / 3, 1e-7, np.nan, -np.inf], np.float32)
    assert write_predict({"y": values}, False) == b'{"outputs":[0.1,0.33333334,1e-07,NaN,-Infinity]}'


@given(arrays(np.float32, (2, 3), elements=st.floats(width=32)))
def test_written_numbers_are_read_back_unchanged(array: Array) -> None:
    content = write_predict({"y": array}, False).replace(b'"outputs"', b'"inputs"')
    assert is_same(read(content, TensorSpec("x", "float32", (-1, 3))).inputs["x"], array)


def test_integers_keep_every_digit_whatever_their_neighbours() -> None:
    wide = TensorSpec("x", "uint64", (-1,))
    assert is_same(read({"inputs": [5, (1 << 63) + 1]}, wide).inputs["x"], [5, (1 << 63) + 1], "uint64")
    assert is_same(read({"instances": [(1 << 64) - 1, 3]}, wide).inputs["x"], [(1 << 64) - 1, 3], "uint64")
    for odd in (-1, 1 << 64, 1.5, None):
        assert "uint64" in refused({"inputs": [odd, 1 << 63]}, wide)


def test_integers_of_any_length_are_read_as_floats_that_hold_them() -> None:
    assert is_same(read({"inputs": [[10**30, 2]]}).inputs["x"], [[1e30, 2]])
    assert "Number too big to be stored in double" in refused({"inputs": [[10**400, 2]]})
    assert "is not of expected type: float" in refused({"inputs": [[10**300, 2]]})
    assert refused({"inputs": [[10**30, None]]}) == "JSON Value: null Type: Null is not of expected type: float"


def test_an_integer_of_too_many_digits_is_the_caller_s_error() -> None:
    assert "too many digits" in refused(b'{"inputs": [[%s, 2]]}' % (b"9" * 5000))


def test_an_empty_column_is_a_batch_of_no_rows() -> None:
    assert read({"inputs": []}).inputs["x"].shape == (0, 2)
    body = read({"inputs": {"a": [], "b": []}}, *PAIR)
    assert body.inputs["a"].shape == (0, 2) and body.inputs["b"].shape == (0,)


def test_a_lone_surrogate_is_written_as_it_was_read() -> None:
    assert json.loads(dump({"error": "\ud800"})) == {"error": "\ud800"}
