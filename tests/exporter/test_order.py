"""Inputs and outputs stand in the model's order everywhere: whoever goes by position takes none for another."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Source
from foldserve_engine.errors import SignatureMismatch
from foldserve_exporter import export_model
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.samples.rows import choose_rows
from foldserve_exporter.steps.fold import FoldedModel, fold_model
from foldserve_exporter.verify.job import Candidate, CandidateKind, VerificationJob
from foldserve_exporter.verify.runners import open_candidate

from .models import randomise

layers = keras.layers
NAMES = ("zebra", "mouse"), ("regression", "classification")
SHAPES = {"zebra": (5,), "mouse": (4,)}


def heads(kind: type[dict[str, Any]] | None = None, seed: int = 3) -> keras.Model:
    """A model whose inputs and outputs stand in another order than their names sort in; heads of one shape."""
    inputs = [keras.Input(SHAPES[name], name=name) for name in NAMES[0]]
    x = layers.BatchNormalization(name="norm")(layers.Concatenate()(inputs))
    outputs = [layers.Dense(3, name=name)(x) for name in NAMES[1]]
    if kind is None:
        return randomise(keras.Model(inputs, outputs), seed)
    named = (kind(zip(names, tensors, strict=True)) for names, tensors in zip(NAMES, (inputs, outputs), strict=True))
    return randomise(keras.Model(*named), seed)


def rows(names: tuple[str, ...] = NAMES[0]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        name: generator.normal(size=(6, *SHAPES[was])).astype(np.float32)
        for name, was in zip(names, NAMES[0], strict=True)
    }


def folded(model: keras.Model, **choices: Any) -> FoldedModel:
    return fold_model(Loaded(model, Source("x", "y")), ExportOptions(Path(), "m", **choices))


def written(model: FoldedModel, path: Path) -> Path:
    write_onnx(serving_function(model.model, model.signature), model.signature, path)
    return path


def listed(path: Path) -> tuple[list[str], list[str]]:
    graph = onnx.load(path).graph
    return [value.name for value in graph.input], [value.name for value in graph.output]


def test_an_export_keeps_the_models_order_in_every_file(tmp_path: Path) -> None:
    model, (left, right) = heads(), rows().values()
    exported = export_model(model, tmp_path, "heads", rename=("zebra=zz", "classification=a_class"))
    names = ["zz", "mouse"], ["regression", "a_class"]
    signature = Bundle.open(exported.path).manifest.signature
    assert ([spec.name for spec in signature.inputs], [spec.name for spec in signature.outputs]) == names
    assert listed(exported.path / "model.onnx") == names
    config = text_format.Parse((tmp_path / "heads" / "config.pbtxt").read_text(), ModelConfig())
    assert ([tensor.name for tensor in config.input], [tensor.name for tensor in config.output]) == names
    report = json.loads((exported.path / "report.json").read_text())
    assert [output["name"] for output in report["signature"]["outputs"]] == names[1]
    session = onnxruntime.InferenceSession(exported.path / "model.onnx")
    given = dict(zip((value.name for value in session.get_inputs()), (left, right), strict=True))
    for answer, right_answer in zip(session.run(None, given), model.predict([left, right], verbose=0), strict=True):
        np.testing.assert_allclose(answer, right_answer, atol=1e-5)


CASES: dict[str, tuple[Callable[[], FoldedModel], list[str], list[str]]] = {
    "dicts, which Keras sorts": (
        lambda: folded(heads(dict)),
        ["mouse", "zebra"],
        ["classification", "regression"],
    ),
    "dicts with an order": (lambda: folded(heads(OrderedDict)), list(NAMES[0]), list(NAMES[1])),
    "features": (lambda: folded(heads(), features="norm"), ["zebra", "mouse"], ["norm"]),
    "one output given twice": (
        lambda: folded(keras.Model((model := heads()).inputs, [*model.outputs, model.outputs[0]])),
        ["zebra", "mouse"],
        ["regression", "classification", "regression_1"],
    ),
    "an input among the outputs": (
        lambda: folded(keras.Model((model := heads()).inputs, [model.outputs[0], model.inputs[0], model.outputs[1]])),
        ["zebra", "mouse"],
        ["regression", "zebra_1", "classification"],
    ),
    "preprocessing": (
        lambda: folded(
            keras.Model((x := keras.Input((6, 7, 3), name="image")), [layers.Dense(2, name=name)(x) for name in "zam"]),
            preprocess="tf",
        ),
        ["image"],
        ["z", "a", "m"],
    ),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_onnx_model_lists_what_the_signature_lists(case: str, tmp_path: Path) -> None:
    make, *names = CASES[case]
    model = make()
    assert [spec.name for spec in model.signature.inputs] == names[0]
    assert [spec.name for spec in model.signature.outputs] == names[1]
    assert list(listed(written(model, tmp_path / "model.onnx"))) == names


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_every_name_stands_for_the_tensor_that_it_stood_for(kind: type[dict[str, Any]]) -> None:
    model = heads(kind)
    answers = folded(model).model.run(rows())
    for name, right in model(kind(rows())).items():  # predict would sort the inputs, whatever the model was made with
        np.testing.assert_allclose(answers[name], right, atol=1e-5)


@pytest.mark.parametrize("values", ["input", "output"])
def test_a_file_that_lists_them_otherwise_is_refused_by_the_verifier(values: str, tmp_path: Path) -> None:
    model = folded(heads())
    path = written(model, tmp_path / "model.onnx")
    job = VerificationJob((), model.signature, choose_rows(rows(), 6, 0))
    candidate = Candidate("onnx", "onnxruntime, optimised", CandidateKind.ONNX, str(path))
    right = open_candidate(candidate, job)(rows())
    spoiled = onnx.load(path)
    getattr(spoiled.graph, values).reverse()
    onnx.save(spoiled, path)
    with pytest.raises(SignatureMismatch, match=f"lists its {values}s as .* whoever goes by position"):
        open_candidate(candidate, job)
    assert list(right) == list(NAMES[1])
