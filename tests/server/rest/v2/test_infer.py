"""Inference over HTTP in the Open Inference Protocol, with tensors in the JSON or behind it."""

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Array, Signature, TensorSpec
from foldserve_server.errors import DeadlineExceeded, QueueFull
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.predict.request_options import RequestOptions
from tests.server.fakes import FakeEngine, manifest, serving
from tests.server.rest.calls import MAX_BYTES, Caller, listening

PATH = "/v2/models/m/infer"
ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)
SIZE = "Inference-Header-Content-Length"
Answer = tuple[int, Any, Mapping[str, str]]


def tensor(rows: Array = ROWS, **fields: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist(), **fields}


def body(*inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"inputs": list(inputs or (tensor(),)), **fields}


def packed(value: dict[str, Any], *contents: bytes) -> tuple[bytes, dict[str, str]]:
    """JSON with bytes behind it, and the header with the offset of the bytes."""
    text = json.dumps(value).encode()
    return b"".join([text, *contents]), {SIZE: str(len(text))}


def binary(rows: Array = ROWS, **fields: Any) -> tuple[bytes, dict[str, str]]:
    content = rows.tobytes()
    header = {key: value for key, value in tensor(rows).items() if key != "data"}
    return packed(body({**header, "parameters": {"binary_data_size": len(content)}}, **fields), content)


async def post(caller: Caller, content: Any, headers: Mapping[str, str], path: str = PATH) -> Answer:
    data = io.BytesIO(content if isinstance(content, bytes) else json.dumps(content).encode())
    async with caller.session.post(path, data=data, headers=headers) as response:
        return response.status, await response.read(), response.headers.copy()


def send(
    content: Any,
    headers: Mapping[str, str] | None = None,
    table: Callable[[], RoutingTable] | None = None,
    path: str = PATH,
    limits: RequestOptions | None = None,
) -> Answer:
    async def scenario() -> Answer:
        async with listening(table() if table else serving(FakeEngine(), version=7), limits) as caller:
            return await post(caller, content, headers or {}, path)

    return asyncio.run(scenario())


def answer(*arguments: Any, **how: Any) -> Any:
    status, content, _ = send(*arguments, **how)
    assert status == 200, content
    return json.loads(content)


def refusal(*arguments: Any, **how: Any) -> tuple[int, str]:
    status, content, _ = send(*arguments, **how)
    return status, json.loads(content)["error"]


def test_lists_are_answered_with_lists() -> None:
    response = answer(body(id="a7"))
    assert response == {
        "id": "a7",
        "model_name": "m",
        "model_version": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [3, 2], "data": [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]}],
    }
    flat = answer(body(tensor(data=ROWS.ravel().tolist())))
    assert flat["outputs"] == response["outputs"] and "id" not in flat


def test_bytes_are_answered_with_bytes_where_they_are_wanted() -> None:
    named = {"name": "y", "parameters": {"binary_data": True}}
    for fields in ({"parameters": {"binary_data_output": True}}, {"outputs": [named]}):
        content, headers = binary(**fields)
        status, response, response_headers = send(content, headers)
        size = int(response_headers[SIZE])
        assert status == 200 and response_headers["Content-Type"] == "application/octet-stream"
        (output,) = json.loads(response[:size])["outputs"]
        assert output == {"name": "y", "datatype": "FP32", "shape": [3, 2], "parameters": {"binary_data_size": 24}}
        np.testing.assert_array_equal(np.frombuffer(response[size:], "<f4").reshape(3, 2), ROWS * 2)
    content, headers = binary()
    assert answer(content, headers)["outputs"][0]["data"] == (ROWS * 2).ravel().tolist()


TWO = Signature(
    (TensorSpec("x", "float32", (-1, 2)), TensorSpec("n", "int64", (-1,))), (TensorSpec("y", "float32", (-1, 2)),)
)


def test_one_input_may_be_a_list_and_another_bytes() -> None:
    numbers = np.array([2**62 + 1, -3], np.int64)
    inputs = (
        tensor(ROWS[:2]),
        {"name": "n", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}},
    )
    engine = FakeEngine(manifest(signature=TWO))
    content, headers = packed(body(*inputs), numbers.tobytes())
    answer(content, headers, table=lambda: serving(engine))
    (sent,) = engine.asked
    np.testing.assert_array_equal(sent["n"], numbers)
    np.testing.assert_array_equal(sent["x"], ROWS[:2])


def test_integers_keep_every_digit() -> None:
    engine = FakeEngine(manifest(signature=TWO))
    numbers = {"name": "n", "datatype": "INT64", "shape": [2], "data": [2**62 + 1, -3]}
    answer(body(tensor(ROWS[:2]), numbers), table=lambda: serving(engine))
    assert engine.asked[0]["n"].tolist() == [2**62 + 1, -3]


def test_classes_are_given_where_they_are_asked_for() -> None:
    wanted = {"name": "y", "parameters": {"classification": 1}}
    (output,) = answer(body(outputs=[wanted]))["outputs"]
    texts = ["2.000000:1", "6.000000:1", "10.000000:1"]
    assert output == {"name": "y", "datatype": "BYTES", "shape": [3, 1], "data": texts}
    wanted["parameters"] = {"classification": 1, "binary_data": True}
    status, content, headers = send(body(outputs=[wanted]))
    expected = b"".join(len(text).to_bytes(4, "little") + text.encode() for text in texts)
    assert status == 200 and content[int(headers[SIZE]) :] == expected


@pytest.mark.parametrize(
    ("coding", "pack", "unpack"),
    [("gzip", gzip.compress, gzip.decompress), ("deflate", zlib.compress, zlib.decompress)],
)
async def test_bodies_and_answers_may_be_compressed(coding: str, pack: Any, unpack: Any) -> None:
    async with listening(serving(FakeEngine())) as caller:
        caller.session._auto_decompress = False
        content, headers = binary()
        _, plain, _ = await post(caller, content, {**headers, "Accept-Encoding": "identity"})
        both = {**headers, "Content-Encoding": coding, "Accept-Encoding": coding}
        status, compressed, response_headers = await post(caller, pack(content), both)
        assert status == 200 and response_headers["Content-Encoding"] == coding and unpack(compressed) == plain


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip;q=0", None), ("gzip; q=0.0, deflate", "deflate"), ("GZIP;q=0.5", "gzip"), ("br, *;q=0", None)],
)
def test_only_a_coding_that_the_caller_accepts_is_used(accepted: str, coding: str | None) -> None:
    status, _, headers = send(body(), {"Accept-Encoding": accepted})
    assert status == 200 and headers.get("Content-Encoding") == coding


def test_a_body_that_decompresses_above_the_limit_is_refused() -> None:
    status, words = refusal(gzip.compress(b" " * (MAX_BYTES + 1)), {"Content-Encoding": "gzip"})
    assert status == 413 and "exceeded" in words


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"{", 400, "JSON Parse error"),
        ([], 400, "Expected a JSON object"),
        ({}, 400, "'inputs' must be a list of tensors"),
        (body(inputs="x"), 400, "'inputs' must be a list of objects"),
        (body(outputs=[{}]), 400, "an output has a name"),
        (body({"name": "x"}), 400, "an input has name, shape and datatype"),
        (body(tensor(shape=[3, "2"])), 400, "an input has name, shape and datatype"),
        (body({key: value for key, value in tensor().items() if key != "data"}), 400, "neither 'data' nor"),
        (body(tensor(data=[[1, 2], [3]])), 400, "its lists are of unequal lengths"),
        (body(tensor(data=[1, 2])), 400, "2 values cannot have the shape [3, 2]"),
        (body(tensor(data=["a"] * 6)), 400, "expected data of data-type FP32"),
        (body(tensor(data=[1e300] * 6)), 400, "holds 1e+300, which FP32 cannot"),
        (body(tensor(shape=[-3, -2])), 400, "6 values cannot have the shape [-3, -2]"),
        (body(tensor(name="z")), 400, "unexpected inference input 'z' for model 'm'"),
        (body(tensor(datatype="FP64")), 400, "data-type is 'FP64', but model 'm' expects 'FP32'"),
        (body(tensor(datatype="F32")), 400, "has unknown data-type 'F32'"),
        (body(tensor(np.zeros((5, 2), np.float32))), 400, "inference request batch-size must be <= 4 for 'm'"),
        (body(outputs=[{"name": "q"}]), 400, "unexpected inference output 'q' for model 'm'"),
        (body(parameters={"timeout": "soon"}), 400, "whole number of microseconds"),
        (body(parameters={"timeout": True}), 400, "whole number of microseconds"),
        (body(tensor(data=[True, 2, 3, 4, 5, 6])), 400, "expected data of data-type FP32"),
        (body(tensor(data=[10**400, 2, 3, 4, 5, 6])), 400, "Number too big to be stored in double"),
        (body(tensor(shape=[3] * 1000)), 400, "1,000 dimensions; no tensor has more than 254"),
        (body(*[tensor()] * 5000), 400, "'inputs' has 5,000 entries; at most 4,096"),
        (body(tensor(parameters={"shared_memory_region": "s"})), 501, "lies in shared memory"),
        (body(tensor(parameters={"binary_data_size": 24})), 400, "binary_data_size is 24, and 0 bytes are left"),
    ],
)
def test_a_bad_request_is_refused_with_the_reason(content: Any, status: int, words: str) -> None:
    code, message = refusal(content)
    assert code == status and words in message


def test_a_number_that_no_double_holds_is_not_infinity() -> None:
    text = json.dumps(body(tensor(ROWS[:1]))).replace("[[0.0, 1.0]]", "[[0.0, 1e999]]").encode()
    status, words = refusal(text)
    assert status == 400 and "Number too big" in words
    assert answer(text.replace(b"1e999", b"Infinity"))["outputs"][0]["data"] == [0.0, float("inf")]


def test_null_is_read_as_left_out() -> None:
    request = body({**tensor(), "parameters": None}, id=None, parameters=None, outputs=None)
    response = answer(request)
    assert "id" not in response and response["outputs"][0]["data"] == (ROWS * 2).ravel().tolist()


def test_booleans_in_parameters_are_accepted_where_lists_hold_numbers() -> None:
    request = body(outputs=[{"name": "y", "parameters": {"binary_data": False}}], parameters={"sequence_end": True})
    assert answer(request)["outputs"][0]["data"] == (ROWS * 2).ravel().tolist()


def test_numbers_of_too_many_digits_are_the_caller_s_error() -> None:
    many = "9" * 5000
    assert refusal(json.dumps(body(tensor(data=[7] * 6))).replace("7", many).encode())[0] == 400
    assert refusal(body(), {SIZE: many})[0] == 400


def test_bytes_that_do_not_match_the_sizes_are_refused() -> None:
    content, headers = binary()
    assert "bytes follow the JSON" in refusal(content + b"more", headers)[1]
    assert refusal(content[:-4], headers)[1].endswith("binary_data_size is 24, and 20 bytes are left")
    for size in (str(len(content) + 1), "-1", "x"):
        status, words = refusal(content, {SIZE: size})
        assert status == 400 and SIZE in words
    short = packed(body({**tensor(), "parameters": {"binary_data_size": 4}}), b"1234")
    assert refusal(*short)[1] == "tensor parsing error: x (raw contents of shape [3, 2] must hold 24 bytes, received 4)"


def test_models_and_versions_are_named_in_the_path() -> None:
    assert answer(body(), path="/v2/models/m/versions/7/infer")["model_version"] == "7"
    unknown = (404, "Request for unknown model: 'n' is not found")
    assert refusal(body(), path="/v2/models/n/infer") == unknown
    status, words = refusal(body(), path="/v2/models/m/versions/9/infer")
    assert (status, words) == (404, "Request for unknown model: 'm' version 9 is not found")
    assert refusal(body(), path="/v2/models/m/versions/one/infer")[0] == 400


def test_a_full_queue_and_a_passed_timeout_have_triton_s_messages() -> None:
    def failing(error: Exception) -> Callable[[], RoutingTable]:
        def table() -> RoutingTable:
            engine = FakeEngine()
            engine.error = error
            return serving(engine)

        return table

    assert refusal(body(), table=failing(QueueFull("7 wait"))) == (503, "Exceeds maximum queue size: 7 wait")
    impatient = body(parameters={"timeout": 1_000_000})
    assert refusal(impatient, table=failing(DeadlineExceeded("late"))) == (503, "Request timeout expired")


def test_large_lists_are_read_and_written_in_other_processes() -> None:
    rows = np.random.default_rng(0).normal(size=(10_000, 2)).astype(np.float32)
    response = answer(body(tensor(rows)), limits=RequestOptions(split_large=True))
    np.testing.assert_array_equal(np.reshape(response["outputs"][0]["data"], (-1, 2)).astype(np.float32), rows * 2)
