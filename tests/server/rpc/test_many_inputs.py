"""A request with far more inputs than a model has costs no more than reading it."""

from dataclasses import dataclass
from typing import Any

import pytest

from foldserve_contract.protos import PredictRequest
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_contract.wire.read import ReceivedRequest
from foldserve_server.errors import InvalidRequest
from foldserve_server.open_inference.validate_request import check
from foldserve_server.predict.validate import check_names
from foldserve_server.rpc import predict_messages

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))


class Name(str):
    """A name that counts its comparisons."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@dataclass(frozen=True)
class Tensor:
    name: str
    datatype: str = "FP32"
    shape: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Request:
    inputs: list[Any]
    outputs: tuple[Any, ...] = ()


def test_names_are_looked_up_and_not_compared_with_one_another() -> None:
    Name.compared = 0
    with pytest.raises(InvalidRequest, match=r"expected 1 inputs but got 1000 inputs"):
        check("m", SIGNATURE, None, Request([Tensor(Name(f"i{index}")) for index in range(1000)]))
    assert Name.compared < 1000


def test_tensors_that_a_model_does_not_have_are_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    request = PredictRequest()
    request.model_spec.name = "m"
    for index in range(10):
        request.inputs[f"i{index}"].dtype = 1
    converted: list[Any] = []
    monkeypatch.setattr(predict_messages, "input_tensor", lambda *arguments: converted.append(arguments))
    inputs = predict_messages.query(ReceivedRequest(request, {}), None, 1 << 20).inputs
    with pytest.raises(InvalidRequest, match="input size does not match signature: 10!=1"):
        check_names(SIGNATURE, inputs)
    assert not converted
    with pytest.raises(KeyError):
        inputs["x"]
    assert len(inputs) == 10, "looking up a missing input adds none"
