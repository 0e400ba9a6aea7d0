"""TF32 bounds: what is promised for a GPU that rounds to TF32, and the gate that keeps the promise."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from foldserve_contract import tolerance
from foldserve_contract.bundle import ONNX, Bundle
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_engine.device import Device
from foldserve_engine.gate.bounds import golden_bounds
from foldserve_engine.gate.golden_check import check_golden
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_exporter import export_model
from foldserve_exporter.emit.tf32 import round_to_tf32, with_tf32
from foldserve_exporter.errors import Refused
from foldserve_exporter.samples.rows import choose_rows
from foldserve_exporter.steps.publish import Exported
from foldserve_exporter.verify.reference import Reference
from foldserve_exporter.verify.tf32_tolerances import tf32_promises

from .models import randomise

GPU = Device.parse("cuda:0")
PLAIN = EngineSpec(optimise=False)
LOW = np.uint32((1 << 13) - 1)


def model() -> keras.Model:
    layers = keras.layers
    image = keras.Input((12, 10, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(8, (3, 2), padding="same")(image))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(layers.ReLU()(x))))
    x = layers.Conv2DTranspose(4, 3, strides=2)(x)
    return randomise(keras.Model(image, layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(x))), 5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    samples = np.random.default_rng(3).standard_normal((40, 12, 10, 3)).astype(np.float32)
    return export_model(model(), tmp_path_factory.mktemp("models"), "m", samples=samples, tf32=True)


def floats(count: int) -> np.ndarray:
    draw = np.random.default_rng(1)
    return (draw.normal(size=count) * 10.0 ** draw.integers(-20, 20, count)).astype(np.float32)


def test_a_number_is_rounded_to_the_nearest_of_ten_bits() -> None:
    array = floats(10_000)
    rounded = round_to_tf32(array)
    assert not np.any(rounded.view(np.uint32) & LOW)
    bits = array.view(np.uint32)
    up, down = ((bits + LOW) & ~LOW).view(np.float32), (bits & ~LOW).view(np.float32)
    nearest = np.minimum(np.abs(array - up), np.abs(array - down))
    np.testing.assert_array_equal(np.abs(array - rounded), nearest)
    assert np.mean(rounded != array) > 0.99


def test_what_has_ten_bits_is_left_as_it_is() -> None:
    array = (floats(1000).view(np.uint32) & ~LOW).view(np.float32)
    np.testing.assert_array_equal(round_to_tf32(array), array)


def dense(kind: str) -> tuple[bytes, Signature, np.ndarray]:
    """`x` [-1, 6] times a matrix, as MatMul or as Gemm, twice with the same input."""
    kernel = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    factors = {"MatMul": ["x", "kernel"], "Gemm": ["x", "kernel", "bias"]}[kind]
    nodes = [
        helper.make_node(kind, factors, ["a"]),
        helper.make_node(kind, factors, ["b"]),
        helper.make_node("Sum", ["a", "b"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "dense",
        [value("x", TensorProto.FLOAT, ("n", 6))],
        [value("y", TensorProto.FLOAT, ("n", 4))],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.zeros(4, np.float32), "bias")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    signature = Signature((TensorSpec("x", "float32", (-1, 6)),), (TensorSpec("y", "float32", (-1, 4)),))
    return made.SerializeToString(), signature, kernel


@pytest.mark.parametrize("kind", ["MatMul", "Gemm"])
def test_both_factors_of_a_product_are_rounded_and_nothing_else(kind: str) -> None:
    content, signature, kernel = dense(kind)
    x = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    answer = OnnxEngine.from_bytes(with_tf32(content), signature, PLAIN).run({"x": x})["y"]
    exact = 2 * (round_to_tf32(x).astype(np.float64) @ round_to_tf32(kernel).astype(np.float64))
    assert np.abs(answer - exact).max() < 1e-5 < np.abs(answer - 2 * (x.astype(np.float64) @ kernel)).max()


def test_every_convolution_and_product_of_an_export_is_rounded(exported: Exported) -> None:
    rounded = onnx.load_from_string(with_tf32((exported.path / ONNX).read_bytes()))
    factors = {
        (node.op_type, name)
        for node in rounded.graph.node
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm")
        for name in node.input[:2]
    }
    assert {kind for kind, _ in factors} >= {"Conv", "ConvTranspose"}
    assert all(name.endswith("/tf32") for _, name in factors)
    onnx.checker.check_model(rounded, full_check=True)


def test_the_promised_bound_is_in_the_manifest_and_in_the_report(exported: Exported) -> None:
    bound = Bundle.open(exported.path).manifest.tolerances["scores"]
    assert bound.tf32 is not None and bound.promised < bound.tf32 < 2e-2 * bound.scale
    assert json.loads((exported.path / "report.json").read_text())["tolerances"]["scores"]["tf32"] == bound.tf32


def verdict(path: Path, content: bytes) -> tuple[bool, float]:
    """The verdict of the gate for TF32 on a model with these answers: passed or not, and the deviation."""
    bundle = Bundle.open(path)
    bounds = golden_bounds(bundle.manifest, EngineKind.ONNXRUNTIME, GPU, tf32=True)
    engine = OnnxEngine.from_bytes(content, bundle.manifest.signature, PLAIN)
    outcome = check_golden(engine, bundle.golden(), bounds)
    return outcome.passed, outcome.outputs[0].deviation


def test_the_gate_lets_tf32_pass_and_nothing_coarser(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (exported.path / ONNX).read_bytes()
    passed, deviation = verdict(exported.path, with_tf32(content))
    assert passed and deviation > Bundle.open(exported.path).manifest.tolerances["scores"].promised
    monkeypatch.setattr("foldserve_exporter.emit.tf32.SPLIT", np.float32((1 << 17) + 1))  # seven bits, not eleven
    assert not verdict(exported.path, with_tf32(content))[0]


@pytest.mark.parametrize("operation", ["LSTM", "Einsum", "Loop"])
def test_what_multiplies_inside_is_refused_by_name(operation: str) -> None:
    graph = helper.make_graph([helper.make_node(operation, ["x"], ["y"])], "inside", [], [])
    content = helper.make_model(graph).SerializeToString()
    with pytest.raises(Refused, match=f"a model with {operation}: export it without --tf32"):
        with_tf32(content)


def promise(dtype: str, wrong: int) -> Any:
    """The bounds promised where the reference equals the model's answers but for some elements."""
    content, signature, _ = dense("MatMul")
    rows = choose_rows({"x": np.random.default_rng(5).normal(size=(40, 6)).astype(np.float32)}, 32, 0)
    answers = OnnxEngine.from_bytes(with_tf32(content), signature, PLAIN).run(rows.judged_inputs)["y"]
    right = answers.astype(np.float64)
    right.flat[:wrong] += 1
    reference = Reference({"y": right.astype(dtype)}, {"y": 0.0}, {"y": 1.0})
    return tf32_promises(content, signature, rows, reference), reference


def test_four_times_what_rounding_did_is_promised_beside_what_holds_anyhow() -> None:
    promised, reference = promise("float64", wrong=1)
    assert promised["y"] == pytest.approx(tolerance.reduced(reference.promised("y"), 1.0), rel=1e-5)
    promised, reference = promise("float64", wrong=0)
    assert promised["y"] == pytest.approx(reference.promised("y"), rel=0.1)


def test_an_output_of_whole_numbers_that_rounding_changes_is_refused() -> None:
    with pytest.raises(Refused, match="TF32 changes output 'y'"):
        promise("int64", wrong=0)


def test_nothing_is_promised_of_what_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foldserve_exporter.emit.tf32.SPLIT", np.float32(np.inf))
    with pytest.raises(Refused, match="TF32 changes output 'y' by nan"):
        promise("float64", wrong=0)
