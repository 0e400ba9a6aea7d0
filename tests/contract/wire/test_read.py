"""Requests parsed in place equal those that the library parses: accepted or refused alike, with the same arrays."""

from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foldserve_contract.dtypes import DTYPES, dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import PredictRequest
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode, encode
from foldserve_contract.wire.read import ReceivedRequest, read_request
from foldserve_contract.wire.write import INPUTS, with_length, with_tensors

MAX_BYTES = 1 << 20
any_array = st.sampled_from([dtype.name for dtype in DTYPES]).flatmap(
    lambda name: arrays(name, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
)


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """Draws requests of every kind, most with one or two tensors."""
    request = PredictRequest(output_filter=draw(st.lists(st.text(max_size=3), max_size=2)))
    if draw(st.booleans()):
        request.model_spec.name = draw(st.text(max_size=5))
        request.model_spec.signature_name = draw(st.sampled_from(["", "embed"]))
        if draw(st.booleans()):
            request.model_spec.version.value = draw(st.integers(-(1 << 63), (1 << 63) - 1))
    for name, array in draw(st.dictionaries(st.text(max_size=3), any_array, max_size=3)).items():
        proto = encode(array)
        if draw(st.integers(0, 3)) == 0:
            typed = array.view(np.uint16) if array.dtype.name == "float16" else array
            getattr(proto, dtype_named(array.dtype.name).field).extend(typed.ravel().tolist())
        if draw(st.integers(0, 3)) == 0:
            proto.tensor_content = draw(st.binary(max_size=8))
        if draw(st.integers(0, 7)) == 0:
            proto.version_number = draw(st.integers(0, 1 << 30))
        request.inputs[name].CopyFrom(proto)
    return request


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Draws requests with bytes changed, removed, repeated, cut off or inserted."""
    content = bytearray(draw(requests()).SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        to = draw(st.integers(at, min(len(content), at + 12)))
        content[at:to] = draw(
            st.sampled_from([b"", bytes(content[at:to]) * 2]) | st.binary(max_size=6) | st.just(b"\x80\x00")
        )
    return bytes(content)


def tensors(received: ReceivedRequest) -> dict[str, Any]:
    """Dtype, shape and bytes of each input, or the reason why it is not valid."""
    inputs: dict[str, Any] = {}
    for name, proto in received.message.inputs.items():
        try:
            array = decode(proto, MAX_BYTES, received.contents.get(name))
        except TensorError as error:
            inputs[name] = str(error)
        else:
            inputs[name] = array.dtype, array.shape, array.tobytes()
    return inputs


def rest(received: ReceivedRequest) -> Any:
    """The request without its tensors' content."""
    message = PredictRequest.FromString(received.message.SerializeToString())
    for name in message.inputs:
        message.inputs[name].ClearField("tensor_content")
    return message


def agree(content: bytes) -> bool:
    """Compares the parsing in place with the library's; True if both accept."""
    try:
        expected = ReceivedRequest(PredictRequest.FromString(content), {})
    except DecodeError:
        with pytest.raises(DecodeError):
            read_request(content)
        return False
    received = read_request(content)
    assert tensors(received) == tensors(expected)
    assert rest(received) == rest(expected)
    return True


@given(requests())
def test_every_request_is_read_as_the_library_reads_it(request: Any) -> None:
    assert agree(request.SerializeToString())


@given(spoiled())
def test_a_spoiled_request_is_accepted_or_refused_as_the_library_does(content: bytes) -> None:
    agree(content)


@given(st.binary(max_size=40))
def test_any_bytes_are_accepted_or_refused_as_the_library_does(content: bytes) -> None:
    agree(content)


@given(st.dictionaries(st.text(max_size=9), any_array.filter(lambda array: array.nbytes), min_size=1, max_size=3))
def test_content_is_located_in_the_received_bytes_and_not_copied(inputs: dict[str, Array]) -> None:
    content = with_tensors(PredictRequest(), INPUTS, inputs)
    received = read_request(content)
    assert received.contents.keys() == inputs.keys()
    for name, tensor_content in received.contents.items():
        assert tensor_content.obj is content
        array = decode(received.message.inputs[name], MAX_BYTES, tensor_content)
        assert array.tobytes() == inputs[name].tobytes()
        assert np.may_share_memory(array, np.frombuffer(content, np.uint8))


def entry(*fields: bytes) -> bytes:
    return b"".join(with_length(INPUTS, list(fields)))


KEY = b"\x0a\x01x"
FLOATS = b"\x08\x01\x12\x04\x12\x02\x08\x02"  # dtype float32, shape [2]
ONE, TWO = b"\x22\x08" + b"\0\0\x80\x3f" * 2, b"\x22\x08" + b"\0\0\0\x40" * 2


def value(*fields: bytes) -> bytes:
    return b"\x12" + bytes([len(b"".join(fields))]) + b"".join(fields)


@pytest.mark.parametrize(
    "content",
    [
        entry(KEY, value(FLOATS, ONE, TWO)),
        entry(KEY, value(FLOATS, ONE)) + entry(KEY, value(FLOATS, TWO)),
        entry(KEY, value(FLOATS, ONE), value(TWO)),
        entry(value(FLOATS, ONE), KEY),
        entry(value(FLOATS, ONE)),
        entry(KEY),
        entry(KEY, value(FLOATS, ONE)) + b"\x1b\x08\x01\x1c",  # an unknown group
        entry(KEY, value(FLOATS, ONE, b"\x28\x01" * 100)),
        entry(KEY, value(FLOATS, b"\xa2\x00" + ONE[1:])),
        entry(KEY, value(FLOATS, b"\x22\x88\x00" + ONE[2:])),
        entry(KEY, value(FLOATS, b"\x20\x01", ONE)),
        entry(KEY, value(FLOATS, b"\x22\x00")),
        entry(b"\x0a\x01\xff", value(FLOATS, ONE)),
        entry(KEY, value(FLOATS, ONE))[:-1],
        entry(KEY, value(FLOATS, ONE)) + b"\x00\x01",
    ],
    ids=[
        "content twice",
        "name twice",
        "value twice",
        "value first",
        "no name",
        "no value",
        "group",
        "many fields",
        "long tag",
        "long length",
        "content as a number",
        "empty content",
        "name is not text",
        "cut off",
        "field zero",
    ],
)
def test_uncommon_requests_are_left_to_the_library(content: bytes) -> None:
    agree(content)


def test_splitting_a_message_of_very_many_fields_costs_nothing() -> None:
    content = entry(KEY, value(FLOATS, ONE)) + b"\x1a\x00" * 1_000_000
    received = read_request(content)
    assert not received.contents and received.message.inputs["x"].tensor_content
