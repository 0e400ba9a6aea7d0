"""Functions of TensorFlow in Keras 2 models answer as they did there, in every artifact, and fold on both sides."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from foldserve_contract.tolerance import deviation, scale
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.graph import Graph, float32_only, rebuild, trace
from foldserve_exporter.load.loader import load_model
from foldserve_exporter.naming import NamedModel

from .function_calls import CALLS
from .old_files import old_keras, saved

with old_keras() as tf_keras:
    L = tf_keras.layers

PUBLIC = Path(__file__).with_name("public_functions.json")
WITHOUT_ONNX = {
    "math.erfinv", "math.lgamma", "math.digamma", "math.ndtri", "math.bessel_i0", "math.bessel_i0e", "math.bessel_i1",
    "math.bessel_i1e", "math.multiply_no_nan", "math.xlogy", "math.xlog1py", "math.xdivy", "math.igamma",
    "math.igammac", "math.real", "math.imag", "math.angle", "math.conj", "math.reduce_euclidean_norm",
    "math.cumulative_logsumexp", "math.in_top_k", "searchsorted", "complex", "histogram_fixed_width", "nn.l2_loss",
    "nn.dilation2d", "image.extract_patches", "image.rgb_to_hsv", "image.hsv_to_rgb", "image.adjust_saturation",
    "linalg.cross", "linalg.inv", "linalg.logdet", "linalg.cholesky", "linalg.set_diag", "linalg.solve",
    "linalg.triangular_solve", "signal.fft", "signal.dct", "signal.stft",
}  # fmt: skip
"""Functions that TensorFlow's converter has no ONNX for, or a wrong one: an export of them ends with a refusal."""
LOSSES = sorted(name for name in CALLS if name.endswith("softmax_cross_entropy_with_logits"))
_ANSWERING = sorted(CALLS.keys() - set(LOSSES))
_GROUP = 24
GROUPS = [_ANSWERING[start : start + _GROUP] for start in range(0, len(_ANSWERING), _GROUP)]


def function(name: str) -> Any:
    place = tf
    for part in name.split("."):
        place = getattr(place, part)
    return place


def model_of(names: Sequence[str]) -> Any:
    """A tf-keras model with an output for each result of each function."""
    x, s, m = (L.Input(shape, name=name) for name, shape in (("x", (6, 5, 4)), ("s", (7, 4)), ("m", (4, 4))))
    i = L.Input((7,), dtype="int32", name="i")
    positive = tf.matmul(m, m, transpose_b=True) + 3 * np.eye(4, dtype="f")
    tensors = SimpleNamespace(
        x=x, s=s, m=m, p=tf.sigmoid(s) * 0.98 + 0.01, q=tf.sigmoid(x[..., :3]), d=positive, b=s > 0.1,
        i=tf.math.floormod(i, 4), c=tf.complex(s, -s),
    )  # fmt: skip
    results = [result for name in names for result in tf.nest.flatten(CALLS[name](function(name), tensors))]
    outputs = [_with_rows(result, s) for result in results]
    return tf_keras.Model([x, s, m, i], [*outputs, L.Dense(2, name="dense")(s)])


def _with_rows(result: Any, s: Any) -> Any:
    """The result as a model's output: real, and with a row for each sample."""
    if result.dtype.is_complex:
        result = tf.math.real(result) + 2.0 * tf.math.imag(result)
    if result.dtype == tf.bool:
        result = tf.cast(result, "float32")
    if result.shape.rank in (None, 0) or result.shape[0] is not None:
        result = tf.reduce_sum(tf.cast(result, "float32")) + s[:, 0, 0] * 0.0
    return result


def inputs() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {"x": (3, 6, 5, 4), "s": (3, 7, 4), "m": (3, 4, 4)}
    floats = {name: generator.normal(size=shape).astype("f") for name, shape in shapes.items()}
    return {**floats, "i": generator.integers(0, 4, (3, 7)).astype("int32")}


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert deviation(mine, other) <= tolerance * max(scale(other), 1e-3)


def loaded(names: Sequence[str], folder: Path) -> tuple[Graph, list[np.ndarray]]:
    """The graph of a model as it is read from its file, and tf-keras' own answers."""
    old = model_of(names)
    answers = [np.asarray(answer) for answer in old(inputs())]
    return trace(load_model(saved(old, folder / "functions.h5")).model), answers


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]} to {names[-1]}")
def test_functions_answer_as_they_did(tmp_path: Path, names: list[str]) -> None:
    graph, answers = loaded(names, tmp_path)
    narrow = NamedModel.of(rebuild(graph), graph).run(inputs())
    assert_close(narrow.values(), answers, 1e-6)
    wide = {name: array.astype("f8") if array.dtype.kind == "f" else array for name, array in inputs().items()}
    exact = NamedModel.of(rebuild(graph, "float64"), graph).run(wide)
    assert_close(exact.values(), answers, 1e-5)


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]} to {names[-1]}")
def test_onnx_answers_as_the_functions_do(tmp_path: Path, names: list[str]) -> None:
    graph, answers = loaded([name for name in names if name not in WITHOUT_ONNX], tmp_path)
    model = NamedModel.of(rebuild(graph), graph)
    write_onnx(serving_function(model, model.signature()), model.signature(), tmp_path / "model.onnx")
    engine = OnnxEngine.from_bytes((tmp_path / "model.onnx").read_bytes(), model.signature())
    assert_close(engine.run(inputs()).values(), answers, 1e-5)


def test_functions_that_are_losses_are_no_part_of_inference(tmp_path: Path) -> None:
    graph, answers = loaded(LOSSES, tmp_path)
    assert len(answers) == 3 and [spec.name for spec in graph.outputs] == ["dense"]
    assert_close(NamedModel.of(rebuild(graph), graph).run(inputs()).values(), answers[-1:], 1e-6)


def test_every_function_of_public_models_is_among_them() -> None:
    assert json.loads(PUBLIC.read_text()).keys() <= CALLS.keys()


def test_a_float64_reference_is_exact_and_says_where_it_is_not(tmp_path: Path) -> None:
    graph, _ = loaded(["nn.conv1d", "nn.depth_to_space", "image.resize", "cast"], tmp_path)
    assert [path for path in float32_only(graph) if "resize" not in path] == []
    assert any("resize" in path for path in float32_only(graph))
