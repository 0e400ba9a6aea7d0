"""Models that old versions of Keras saved answer as they did there."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Signature
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.tensorflow_engine import TensorFlowEngine
from foldserve_exporter import export_model
from foldserve_exporter.diagnosis.subject import baked_phases
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function, write_saved_model
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.load.loader import load_model
from foldserve_exporter.steps.fold import fold_model

from .old_files import OWN, SHARED, answers_file, label, models_in, questions_and_answers

TOLERANCE = 1e-5
OWN_MODELS = models_in(OWN)
SHARED_MODELS = models_in(SHARED) if SHARED.is_dir() else []


def deviation(got: Any, expected: list[np.ndarray]) -> float:
    """The largest deviation, relative to the answers' scale where that is above 1."""
    pairs = zip(keras.tree.flatten(got), expected, strict=True)
    return max(float(np.abs(np.asarray(g) - w).max() / max(1.0, np.abs(w).max())) for g, w in pairs)


def test_every_file_is_in_the_list() -> None:
    assert len(OWN_MODELS) == 13
    assert {path.parent.name for path in OWN_MODELS} == {"keras-2.1.6", "tfkeras-2.10", "tfkeras-2.12", "tfkeras-2.15"}


@pytest.mark.parametrize("path", OWN_MODELS, ids=label)
def test_a_loaded_model_answers_as_it_did_where_it_was_saved(path: Path) -> None:
    x, expected = questions_and_answers(path)
    model = rebuild(trace(load_model(path).model))
    assert deviation(model(x, training=False), expected) <= TOLERANCE


def artifacts_answer(path: Path, folder: Path) -> dict[str, list[np.ndarray]]:
    folded = fold_model(load_model(path))
    function = serving_function(folded.model, folded.signature)
    write_saved_model(function, folded.model, folder)
    write_onnx(function, folded.signature, folder / ONNX)
    x, _ = questions_and_answers(path)
    return {
        "onnx": run(OnnxEngine.from_bytes((folder / ONNX).read_bytes(), folded.signature), folded.signature, x),
        "saved_model": run(TensorFlowEngine.from_directory(folder, folded.signature), folded.signature, x),
    }


def run(engine: Any, signature: Signature, x: np.ndarray) -> list[np.ndarray]:
    try:
        answers = engine.run({signature.inputs[0].name: x})
    finally:
        engine.close()
    return [answers[spec.name] for spec in signature.outputs]


CHOSEN = [path for path in OWN_MODELS if label(path) in ("keras-2.1.6/separable.h5", "tfkeras-2.10/epsilon.h5")]


@pytest.mark.parametrize("path", [*CHOSEN, *SHARED_MODELS], ids=label)
def test_both_artifacts_answer_as_the_keras_that_saved_the_model(path: Path, tmp_path: Path) -> None:
    _, expected = questions_and_answers(path)
    answers = artifacts_answer(path, tmp_path)
    assert {kind: deviation(got, expected) <= TOLERANCE for kind, got in answers.items()} == {
        "onnx": True,
        "saved_model": True,
    }


def test_the_shared_models_are_all_there_or_none() -> None:
    if not SHARED.is_dir():
        pytest.skip("no shared models beside this checkout")
    assert len(SHARED_MODELS) == 6


@pytest.mark.parametrize("name", ["nested.h5", "small"])
def test_the_file_comes_back_unchanged(name: str) -> None:
    path = OWN / "tfkeras-2.10" / name
    files = [path, *path.rglob("*")]
    before = {file: file.read_bytes() for file in files if file.is_file()}
    assert load_model(path).source.file == name
    assert {file: file.read_bytes() for file in [path, *path.rglob("*")] if file.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("path", [*OWN_MODELS, *SHARED_MODELS], ids=label)
def test_every_file_becomes_a_verified_bundle(path: Path, tmp_path: Path) -> None:
    x, _ = questions_and_answers(path)
    assert export_model(path, tmp_path, "old", samples=np.concatenate([x] * 5)).report.verification.passed


def test_the_bundle_has_a_note_on_the_epsilon_that_was_in_force(tmp_path: Path) -> None:
    path = OWN / "tfkeras-2.10" / "epsilon.h5"
    (note,) = load_model(path).notes
    assert "'bn_image'" in note and "bn_row" not in note and "1.001e-05" in note and "2.10.0" in note
    assert load_model(OWN / "tfkeras-2.15" / "epsilon.h5").notes == ()
    assert load_model(OWN / "keras-2.1.6" / "epsilon.h5").notes == ()
    report = export_model(
        path, tmp_path, "epsilon", samples=np.concatenate([questions_and_answers(path)[0]] * 5)
    ).report
    assert note in report.warnings
    assert report.tools["tf-keras"] == version("tf-keras")


def test_baked_phases_dropout_and_frozen_layers_survive() -> None:
    model = load_model(OWN / "tfkeras-2.10" / "phases.h5").model
    assert baked_phases(trace(model)) == ("bn_on is called with training=True", "bn_off is called with training=False")
    assert isinstance(model.get_layer("drop"), keras.layers.Dropout)
    backbone = load_model(OWN / "tfkeras-2.10" / "nested.h5").model.get_layer("backbone")
    assert [layer.name for layer in backbone.layers if layer.weights and layer.trainable] == ["conv_2", "bn_3"]


def test_every_shipped_model_has_answers() -> None:
    shipped = [
        path for path in OWN.rglob("*") if path.suffix in (".h5", ".keras") or (path / "saved_model.pb").exists()
    ]
    assert all(answers_file(path) for path in shipped)
