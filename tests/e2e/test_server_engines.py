"""Both engines behind one server: the same answers, the same refusals, and what a shadow engine finds."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from foldserve_contract.signature import Array
from foldserve_contract.tensors import encode
from tests.server.running import Running, predict_request, running

FAR = 100  # beyond any golden sample, the SavedModel of `onnx` answers otherwise than its ONNX model
MAKE = f"""
import sys
from pathlib import Path
import tensorflow as tf
from foldserve_contract.signature import DEFAULT_SIGNATURE
from tests.bundles import dense_model, make_bundle, reseal

root = Path(sys.argv[1])
make_bundle(root, "tf", model=dense_model(7), saved_model=True)
path = make_bundle(root, "onnx", model=dense_model(7), saved_model=True)
module = tf.saved_model.load(str(path))

@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="features")])
def serve(features):
    far = tf.reduce_sum(tf.nn.relu(features - {FAR}.0), axis=1, keepdims=True)
    return {{"scores": tf.linalg.matmul(features, module.kernel) + module.bias + far}}

tf.saved_model.save(module, str(path), signatures={{DEFAULT_SIGNATURE: serve}})
reseal(path)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("models")
    done = subprocess.run(
        [sys.executable, "-c", MAKE, models], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    engines = ("--engine=onnx", "--engine=tf=tensorflow", "--shadow-engine=tensorflow", "--shadow-share=1")
    with running(models, *engines, "--max_batch_size=8", "--reject-nonfinite", "--threads=1") as server:
        yield server


def features(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)


def test_each_model_has_the_engine_that_was_asked_for(server: Running) -> None:
    message = {part.split("/")[0]: part for part in server.ready.split(": ", 1)[1].split(", ") if "/" in part}
    assert "(onnxruntime" in message["onnx"] and "(tensorflow" in message["tf"]
    assert server.ready.count("shadowed by tensorflow") == 1


@pytest.mark.parametrize("rows", [0, 1, 3, 8])
def test_both_engines_give_the_same_answers(server: Running, rows: int) -> None:
    item, other = (server.predict(name, features=features(rows, rows))["scores"] for name in ("onnx", "tf"))
    assert item.shape == other.shape == (rows, 3)
    np.testing.assert_allclose(item, other, atol=1e-5)


def bad(change: str) -> Any:
    """A request for `NAME` that is wrong in one way."""
    request = predict_request("NAME", features=features(2))
    changes: dict[str, Callable[[], object]] = {
        "dtype": lambda: request.inputs["features"].CopyFrom(encode(features(2).astype(np.float64))),
        "rank": lambda: request.inputs["features"].CopyFrom(encode(features(2)[0])),
        "dimension": lambda: request.inputs["features"].CopyFrom(encode(features(2)[:, :3])),
        "too many rows": lambda: request.inputs["features"].CopyFrom(encode(features(9))),
        "not finite": lambda: request.inputs["features"].CopyFrom(encode(features(2) * np.float32(np.inf))),
        "content too short": lambda: setattr(request.inputs["features"], "tensor_content", b"1234"),
        "extra input": lambda: request.inputs["other"].CopyFrom(encode(features(2))),
        "other input": lambda: request.inputs["other"].CopyFrom(request.inputs.pop("features")),
        "signature": lambda: setattr(request.model_spec, "signature_name", "other"),
        "version": lambda: setattr(request.model_spec.version, "value", 9),
        "output": lambda: request.output_filter.append("other"),
    }
    changes[change]()
    return request


@pytest.mark.parametrize(
    "change",
    [
        "dtype",
        "rank",
        "dimension",
        "too many rows",
        "not finite",
        "content too short",
        "extra input",
        "other input",
        "signature",
        "version",
        "output",
    ],
)
def test_both_engines_refuse_the_same_requests_in_the_same_words(server: Running, change: str) -> None:
    refusals = []
    for name in ("onnx", "tf"):
        request = bad(change)
        request.model_spec.name = name
        with pytest.raises(grpc.RpcError) as caught:
            server.call("Predict", request)
        refusals.append((caught.value.code(), str(caught.value.details()).replace(f"({name},", "(NAME,")))
    assert refusals[0] == refusals[1]
    assert refusals[0][0] is not grpc.StatusCode.INTERNAL


def test_a_shadow_that_answers_otherwise_is_told_of_and_its_answer_to_nobody(server: Running) -> None:
    near, far = features(3), np.full((1, 4), FAR + 50, np.float32)
    for rows in (near, far):
        shadowed, alone = (server.predict(name, features=rows)["scores"] for name in ("onnx", "tf"))
        np.testing.assert_allclose(shadowed, alone, rtol=1e-5, atol=1e-5)
    line = server.wait_for_log("tensorflow answers otherwise")
    assert "onnx/1: tensorflow answers otherwise: output 'scores' deviates by 200" in line
