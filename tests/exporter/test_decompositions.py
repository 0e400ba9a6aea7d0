"""Decompositions of operations that ONNX lacks answer as TensorFlow does, for every number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from foldserve_contract.manifest import Source
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.steps.fold import fold_model

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "expm1": keras.ops.expm1,
    "log1p": keras.ops.log1p,
    "celu": keras.ops.celu,
    "logaddexp": lambda x: keras.ops.logaddexp(x, 0.5 - x),
}
BOUNDARIES = [-1.5, 0.0, 0.5, 2.0, 7.0]


def numbers() -> np.ndarray:
    """Numbers of every magnitude and both signs, with the ends of each function's domain."""
    sizes = np.logspace(-37, 4, 400)  # TensorFlow takes what is smaller for 0
    special = [0.0, -0.0, 1.0, -1.0, np.nextafter(-1, 0, dtype=np.float32), 88.7, np.inf, -np.inf, np.nan]
    return np.concatenate([sizes, -sizes, special, np.linspace(-3, 8, 45)]).astype(np.float32)[:, None]


def onnx_and_keras(model: keras.Model, rows: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The answers of the ONNX file, and of Keras."""
    folded, path = fold_model(Loaded(model, Source("x", "y"))), folder / "model.onnx"
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, path)
    answers = OnnxEngine.from_bytes(path.read_bytes(), folded.signature).run({"x": rows})
    return next(iter(answers.values())), model.predict(rows, verbose=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_exact_for_small_numbers_and_large_ones(name: str, tmp_path: Path) -> None:
    x = keras.Input((1,), name="x")
    actual, expected = onnx_and_keras(keras.Model(x, FUNCTIONS[name](x)), numbers(), tmp_path)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "uint8"])
def test_every_number_falls_into_the_bin_that_keras_has_for_it(dtype: str, tmp_path: Path) -> None:
    x = keras.Input((1,), dtype=dtype, name="x")
    model = keras.Model(x, keras.layers.Discretization(bin_boundaries=BOUNDARIES)(x))
    whole = np.arange(0 if dtype == "uint8" else -9, 100, dtype=dtype)[:, None]
    actual, expected = onnx_and_keras(model, numbers() if dtype == "float32" else whole, tmp_path)
    np.testing.assert_array_equal(actual, expected)
    assert len(np.unique(actual)) == len(BOUNDARIES) + (dtype != "uint8") - (dtype == "uint8")


def test_bins_become_the_embeddings_that_a_model_learned_for_them(tmp_path: Path) -> None:
    x = keras.Input((3,), name="x")
    bins = keras.layers.Discretization(bin_boundaries=BOUNDARIES)(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Embedding(6, 4)(bins))))
    rows = np.random.default_rng(3).normal(0, 3, (64, 3)).astype(np.float32)
    actual, expected = onnx_and_keras(model, rows, tmp_path)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_body_of_a_loop_is_written_out_too(tmp_path: Path) -> None:
    x = keras.Input((5, 3), name="x")
    model = keras.Model(x, keras.layers.SimpleRNN(3, activation=keras.ops.celu, unroll=False)(x))
    rows = np.random.default_rng(4).normal(0, 1, (8, 5, 3)).astype(np.float32)
    actual, expected = onnx_and_keras(model, rows, tmp_path)
    assert any(node.op_type in ("Loop", "Scan") for node in onnx.load(tmp_path / "model.onnx").graph.node)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
