"""Fusions: what ONNX has one node for is one node, and answers the same; what only looks like it is left alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from foldserve_contract.manifest import Source
from foldserve_contract.tolerance import deviation, within
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineSpec
from foldserve_exporter.emit.fusions import fuse
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.steps.fold import fold_model
from foldserve_exporter.steps.reference import make_reference

from .models import randomise

L = keras.layers
SERIES, IMAGE = (9, 4), (9, 7, 4)
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Erf", "HardSwish", "HardSigmoid", "Gemm")
# Before 3.15 Keras multiplies tensors of rank 3 and more as they are, which ONNX has no node with a bias for.
SERIES_AS_ROWS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
BIASED = {"Gemm": 1} if SERIES_AS_ROWS else {"Add": 1}

MODELS: dict[str, tuple[tuple[int, ...], Any, dict[str, int]]] = {
    "dense": ((6,), lambda x: L.Dense(3)(L.Dense(5, activation="tanh")(x)), {"Gemm": 2}),
    "dense on a sequence": (SERIES, L.Dense(5), BIASED),
    "dense on an image": (IMAGE, L.Dense(5, activation="tanh"), BIASED),
    "dense without bias": ((6,), L.Dense(5, use_bias=False), {}),
    "a product that is read twice": ((6,), lambda x: _read_twice(x), {"Add": 3}),
    "series": (SERIES, lambda x: L.Conv1D(4, 3, padding="causal")(L.Conv1D(5, 3, strides=2)(x)), {}),
    "separable series": (SERIES, lambda x: L.DepthwiseConv1D(2)(L.SeparableConv1D(5, 3)(x)), {}),
    "transposed volume": ((4, 5, 3, 2), lambda x: L.Conv3DTranspose(3, 2, strides=2)(x), {}),
    "transposed image": (IMAGE, lambda x: L.Conv2DTranspose(3, (3, 2), strides=2)(x), {}),
    "hard-swish": (IMAGE, lambda x: L.Activation("hard_silu")(L.Conv2D(5, 3)(x)), {"HardSwish": 1}),
    "hard-sigmoid": (IMAGE, lambda x: L.Activation("hard_sigmoid")(L.Conv2D(5, 3)(x)), {"HardSigmoid": 1}),
    "a gate for another tensor": (
        IMAGE,
        lambda x: L.Multiply()([L.Conv2D(4, 1)(x), L.Activation("hard_sigmoid")(x)]),
        {"HardSigmoid": 1, "Mul": 1},
    ),
    "exact GELU": ((6,), lambda x: L.Activation("gelu")(L.Dense(5)(x)), {"Gemm": 1, "Mul": 3, "Erf": 1, "Add": 1}),
}


def _read_twice(x: Any) -> Any:
    product = L.Dense(5, use_bias=False)(x)
    bias = np.arange(5, dtype=np.float32)
    return keras.ops.tanh(keras.ops.tanh(product + bias) + keras.ops.tanh(product))


@pytest.mark.parametrize("name", MODELS)
def test_a_conversion_has_these_nodes_and_answers_as_the_reference(name: str, tmp_path: Path) -> None:
    shape, layers, expected = MODELS[name]
    inputs = keras.Input(shape, name="x")
    model = randomise(keras.Model(inputs, layers(inputs)))
    folded = fold_model(Loaded(model, Source("m.keras", "0" * 64)))
    path = tmp_path / "model.onnx"
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, path)
    counts = Counter(node.op_type for node in onnx.load(path).graph.node)
    if name == "a product that is read twice":
        assert counts["Gemm"] == 0 and counts["MatMul"] == 1
    else:
        assert {kind: counts[kind] for kind in ARITHMETIC if counts[kind]} == expected
    expectation = make_reference(folded, ExportOptions(tmp_path, "m"))
    for optimise in (False, True):
        engine = OnnxEngine.from_bytes(path.read_bytes(), folded.signature, EngineSpec(optimise=optimise))
        answers = engine.run(expectation.rows.judged_inputs)
        for output, reference in expectation.reference.outputs.items():
            assert within(deviation(answers[output], reference), expectation.reference.limit(output))


def test_a_sum_that_is_not_a_bias_stays_a_sum() -> None:
    """A constant that is not one value for each column, and one that broadcasts what it is added to."""
    for shape in ((1,), (3, 5), (2, 1, 5)):
        model = _product(np.ones(shape, np.float32))
        fuse(model)
        assert [node.op_type for node in model.graph.node] == ["MatMul", "Add"]
    model = _product(np.ones(5, np.float32))
    fuse(model)
    assert [node.op_type for node in model.graph.node] == ["Gemm"]


def test_a_body_of_a_branch_keeps_what_it_reads_from_outside() -> None:
    model = _product(np.ones(5, np.float32))
    branch = helper.make_graph(
        [helper.make_node("Identity", ["product"], ["taken"])],
        "branch",
        [],
        [helper.make_tensor_value_info("taken", TensorProto.FLOAT, None)],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch))
    model.graph.output.append(helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None))
    fuse(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add", "If"]


def _product(bias: np.ndarray) -> Any:
    kernel = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "kernel"], ["product"], "product"),
        helper.make_node("Add", ["product", "bias"], ["y"], "add"),
    ]
    tensors = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
