import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.models.routing_table import RoutingTable
from tests.server.fakes import FakeEngine, manifest, serving

from .calls import ask

CLASSIFY, REGRESS = "/v1/models/m:classify", "/v1/models/m/versions/1:regress"


def classes() -> RoutingTable:
    return serving(FakeEngine(replace(manifest(), labels=("cat", "dog"))))


def values() -> RoutingTable:
    single = Signature((TensorSpec("x", "float32", (-1, 1)),), (TensorSpec("y", "float32", (-1, 1)),))
    return serving(FakeEngine(manifest(signature=single)))


PACKED = base64.b64encode(np.array([0.1, 2], "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    "body",
    [
        {"examples": [{"x": [0.1, 2]}]},
        {"signature_name": "serving_default", "context": {"x": [0.1, 2]}, "examples": [{}]},
        {"examples": [{"x": {"b64": PACKED}}]},
    ],
)
def test_classes_are_returned_with_their_scores(body: Any) -> None:
    assert ask(CLASSIFY, body, classes) == (200, {"results": [[["cat", 0.2], ["dog", 4]]]})


def test_a_value_is_returned_for_each_example() -> None:
    assert ask(REGRESS, {"examples": [{"x": 1.5}, {"x": [2]}]}, values) == (200, {"results": [3, 4]})


@pytest.mark.parametrize(
    ("path", "body", "table", "message"),
    [
        (CLASSIFY, {"instances": [[1, 2]]}, classes, "Missing 'examples' key, or its value is not a list/array"),
        (CLASSIFY, {"examples": []}, classes, "Input is empty."),
        (CLASSIFY, {"examples": [[1, 2]] * 5}, classes, "Task size 5 is larger than maximum input batch size 4"),
        (CLASSIFY, {"examples": [[1, 2]]}, classes, "Example must be JSON object: example 0 is not one"),
        (CLASSIFY, {"examples": [{"x": [1, None]}]}, classes, "example 0, feature 'x': expected numbers, or strings"),
        (CLASSIFY, {"examples": [{"x": ["a", "b"]}]}, classes, "bytes must be one value of 8 bytes"),
        (CLASSIFY, {"examples": [{"x": {"b64": "%"}}]}, classes, "Unable to base64 decode"),
        (CLASSIFY, {"signature_name": "s", "examples": [{}]}, classes, "No signature was found with the name: s"),
        (CLASSIFY, {"signature_name": 1, "examples": [{}]}, classes, "'signature_name' key must be a string value."),
        (CLASSIFY, {"examples": [{"x": [10**400, 2]}]}, classes, "example 0 holds a number that no double can"),
        (REGRESS, {"examples": [{"x": [1, 2]}]}, classes, "regression needs one output of floats"),
    ],
)
def test_an_impossible_request_is_refused_with_the_reason(
    path: str, body: Any, table: Callable[[], RoutingTable], message: str
) -> None:
    status, answer = ask(path, body, table)
    assert status == 400 and message in answer["error"]
