"""Messages of many small parts are refused before they are read; large arrays are not."""

from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.protos import PredictRequest, TensorProto
from foldserve_contract.protos.open_inference import ModelInferRequest
from foldserve_contract.wire.write import varint
from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.errors import InvalidRequest
from foldserve_server.rpc.field_limits import FREE_BYTES, check_fields
from tests.server.fakes import FakeEngine, serving

from .calls import listening, predict_request

MOST = 100


def field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def with_dimensions(count: int) -> bytes:
    """A PredictRequest with a tensor of so many dimensions, each of them empty: two bytes."""
    tensor = field(0x12, b"\x12\x00" * count)
    return field(0x12, field(0x0A, b"x") + field(0x12, tensor))


def many(kind: str) -> tuple[bytes, Any]:
    requests = {
        "dimensions": (with_dimensions(MOST), PredictRequest),
        "inputs": (b"\x2a\x00" * (MOST + 1), ModelInferRequest),
        "filters": (b"\x1a\x00" * (MOST + 1), PredictRequest),
        "unknown": (b"\x78\x01" * (MOST + 1), PredictRequest),
        "groups": (b"\x7b\x7c" * (MOST + 1), PredictRequest),
        "unpacked": (b"\x2d\x00\x00\x00\x00" * (MOST + 1), TensorProto),
    }
    content, message = requests[kind]
    return content, message.DESCRIPTOR


@pytest.mark.parametrize("kind", ["dimensions", "inputs", "filters", "unknown", "groups", "unpacked"])
def test_a_message_of_many_parts_is_refused(kind: str) -> None:
    content, descriptor = many(kind)
    with pytest.raises(InvalidRequest, match="more than 100 fields"):
        check_fields(content, descriptor, MOST, 0)
    check_fields(content, descriptor, len(content), 0)
    check_fields(content, descriptor, MOST)  # it is small


def test_arrays_count_as_one_field_however_large_they_are() -> None:
    rows = np.zeros((1000, 4), np.float32)
    typed = TensorProto(float_val=rows.ravel())
    request = predict_request(x=rows, y=rows)
    infer = ModelInferRequest(raw_input_contents=[rows.tobytes()])
    infer.inputs.add().contents.fp32_contents.extend(rows.ravel())
    for message in (typed, request, infer):
        check_fields(message.SerializeToString(), message.DESCRIPTOR, 30, 0)


@pytest.mark.parametrize("content", [b"\xff" * 300, b"\x12\xff\xff\xff\xff\x0f" + b"\x0f" * 300, b"\x0f" * 300])
def test_bytes_that_are_not_a_message_are_left_to_the_library(content: bytes) -> None:
    check_fields(content, PredictRequest.DESCRIPTOR, MOST, 0)


async def test_callers_get_the_message(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(serving(FakeEngine()), transport=TransportOptions(max_message_bytes=2 * FREE_BYTES)) as caller:
        code, words = await caller.failure("Predict", with_dimensions(FREE_BYTES // 2))
        assert code is grpc.StatusCode.INVALID_ARGUMENT and "more than 262,144 fields" in words
    assert not caplog.records
