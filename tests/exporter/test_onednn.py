"""A SavedModel that failed is run again without oneDNN: the message says whether its kernels are at fault."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest

from foldserve_contract.manifest import Source
from foldserve_exporter.bundle_files import write_models
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.report.record import Report
from foldserve_exporter.steps.fold import fold_model
from foldserve_exporter.steps.publish import refuse
from foldserve_exporter.steps.reference import make_reference
from foldserve_exporter.verify.onednn import SWITCH, onednn_explanation
from foldserve_exporter.verify.verdict import CandidateVerdict, OutputComparison, Verification
from foldserve_exporter.verify.verifier import Verifier, candidates_of

from .models import randomise
from .test_report_page import FAILED, report


def verdict(name: str, *failures: str) -> CandidateVerdict:
    return CandidateVerdict(name, {"y": OutputComparison(1.0, 1e-6, 0, "alone", 0.0, 0, 0)}, failures, None)


FAILING = (verdict("tensorflow, SavedModel", "it deviates"), verdict("onnxruntime, optimised"))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verifier, Path]:
    image = keras.Input((6, 5, 2), name="image")
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(3, 2, name="conv")(image))
    model = randomise(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="y")(x)))
    folded = fold_model(Loaded(model, Source("model", "")))
    expected = make_reference(folded, ExportOptions(Path(), "model"))
    folder = tmp_path_factory.mktemp("artifacts")
    write_models(folded.model, folded.signature, folder)
    return Verifier(expected.reference, expected.rows, folded.signature), folder


def explained(artifacts: tuple[Verifier, Path], verdicts: Any, folder: Path) -> str:
    verifier, directory = artifacts
    return onednn_explanation(verifier, candidates_of(directory, None), verdicts, folder / "again")


def test_one_that_is_right_without_it_is_said_to_be_with_what_to_do(
    artifacts: tuple[Verifier, Path], tmp_path: Path
) -> None:
    words = explained(artifacts, FAILING, tmp_path)
    assert words.startswith(f"tensorflow, SavedModel: with {SWITCH}=0 it answers as the model does")
    assert "or serve the ONNX model, which passed" in words


def test_one_that_is_wrong_without_it_too_is_not_explained_so(artifacts: tuple[Verifier, Path], tmp_path: Path) -> None:
    verifier, directory = artifacts
    spoiled = tmp_path / "spoiled"
    shutil.copytree(directory, spoiled)
    shutil.rmtree(spoiled / "variables")
    assert explained((verifier, spoiled), FAILING, tmp_path) == ""


def test_nothing_is_run_again_where_there_is_nothing_to_ask(
    artifacts: tuple[Verifier, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = (verdict("tensorflow, SavedModel"), verdict("onnxruntime, optimised", "it deviates"))
    silent = (CandidateVerdict("tensorflow, SavedModel", {}, ("it does not answer",), None),)
    assert explained(artifacts, passed, tmp_path) == explained(artifacts, silent, tmp_path) == ""
    monkeypatch.setenv(SWITCH, "0")
    assert explained(artifacts, FAILING, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_the_refusal_says_it(tmp_path: Path) -> None:
    explanation: Verification = replace(FAILED, explanation="without oneDNN it is right")
    refused: Report = report(verification=explanation)
    assert "without oneDNN it is right" in str(refuse(refused, tmp_path))
