from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper

from foldserve_contract.signature import Array, Signature
from foldserve_engine.errors import RunFailed
from foldserve_engine.onnx.binding import BoundBatch, BufferLocation, bind, is_bindable
from foldserve_engine.onnx.session_plan import CPU
from tests.bundles import conv_model, dense_model, random_rows, sequence_model, signature_of, two_headed_model

HERE = BufferLocation("cpu")


def bytes_model() -> ModelProto:
    """`pixels` [-1, 5] of bytes to `real` and `whole`, which are not of their dtype."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ArgMax", ["real"], ["whole"], axis=1, keepdims=1),
    ]
    value = helper.make_tensor_value_info
    outputs = [value("real", TensorProto.FLOAT, ("n", 5)), value("whole", TensorProto.INT64, ("n", 1))]
    graph = helper.make_graph(nodes, "bytes", [value("pixels", TensorProto.UINT8, ("n", 5))], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


MODELS = [conv_model(3), dense_model(4), two_headed_model(5), bytes_model()]


def session_of(model: ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[CPU])


def bound(model: ModelProto, rows: int) -> tuple[BoundBatch, Any, Signature]:
    session, signature = session_of(model), signature_of(model)
    return BoundBatch(onnxruntime, session, signature, rows, HERE), session, signature


def batches(signature: Signature, rows: int, count: int) -> Iterator[dict[str, Array]]:
    draw = np.random.default_rng(rows)
    for _ in range(count):
        yield {spec.name: random_rows(spec, rows, draw) for spec in signature.inputs}


@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("model", MODELS, ids=["conv", "dense", "two inputs, two outputs", "bytes"])
def test_it_gives_the_bits_of_an_ordinary_run(model: ModelProto, rows: int) -> None:
    batch, session, signature = bound(model, rows)
    for inputs in batches(signature, rows, 4):
        names = [spec.name for spec in signature.outputs]
        wanted = dict(zip(names, session.run(names, inputs), strict=True))
        answers = batch.run(inputs)
        assert answers.keys() == wanted.keys()
        for name, array in answers.items():
            assert array.dtype == wanted[name].dtype and array.tobytes() == wanted[name].tobytes()


def test_an_answer_stays_as_it_is_when_the_next_batch_is_computed() -> None:
    batch, _, signature = bound(conv_model(6), 4)
    kept: list[tuple[Array, bytes]] = []
    for inputs in batches(signature, 4, 5):
        answer = batch.run(inputs)["scores"]
        kept.append((answer, answer.tobytes()))
    assert len({bits for _, bits in kept}) == 5
    assert all(answer.tobytes() == bits for answer, bits in kept)


def test_what_a_caller_writes_into_an_answer_reaches_nobody_else() -> None:
    batch, _, signature = bound(conv_model(6), 2)
    (inputs,) = batches(signature, 2, 1)
    first = batch.run(inputs)["scores"]
    bits = first.tobytes()
    first[:] = 7
    assert batch.run(inputs)["scores"].tobytes() == bits


def test_no_value_of_an_earlier_batch_is_left() -> None:
    batch, session, signature = bound(dense_model(2), 3)
    loud, quiet = batches(signature, 3, 2)
    batch.run({"features": loud["features"] * 1e6})
    assert batch.run(quiet)["scores"].tobytes() == session.run(["scores"], quiet)[0].tobytes()


def test_rows_that_do_not_lie_one_after_the_other_are_read_as_they_are() -> None:
    batch, session, signature = bound(conv_model(1), 2)
    (inputs,) = batches(signature, 2, 1)
    mirrored = {"image": inputs["image"][:, ::-1]}
    wanted = session.run(["scores"], {"image": np.ascontiguousarray(mirrored["image"])})[0]
    assert batch.run(mirrored)["scores"].tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("features", "received"),
    [
        (np.zeros((3, 4), np.float64), r"float64\[3, 4\]"),
        (np.zeros((4, 3), np.float32), r"float32\[4, 3\]"),
        (np.zeros((2, 4), np.float32), r"float32\[2, 4\]"),
        (None, "nothing"),
    ],
)
def test_bytes_that_would_be_read_as_something_else_are_refused(features: Array | None, received: str) -> None:
    batch, _, _ = bound(dense_model(), 3)
    inputs = {} if features is None else {"features": features}
    with pytest.raises(RunFailed, match=rf"'features' is bound as float32\[3, 4\], received {received}"):
        batch.run(inputs)


def test_each_size_has_its_own() -> None:
    model = conv_model(9)
    session, signature = session_of(model), signature_of(model)
    made = bind(onnxruntime, session, signature, (1, 2, 4), HERE)
    for rows in (4, 1, 2, 1, 4):
        (inputs,) = batches(signature, rows, 1)
        assert made[rows].run(inputs)["scores"].tobytes() == session.run(["scores"], inputs)[0].tobytes()


def test_warming_needs_no_samples() -> None:
    bound(two_headed_model(), 4)[0].warm()


@pytest.mark.parametrize(("model", "bindable"), [(conv_model(), True), (sequence_model(), False)])
def test_rows_of_a_dynamic_shape_have_no_buffers(model: ModelProto, bindable: bool) -> None:
    assert is_bindable(signature_of(model)) is bindable
