"""`export-model --recalibrate`: the bundle uses the new statistics, and records their origin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Manifest, Recalibration
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_exporter import export_model, recalibrate
from foldserve_exporter.cli import main
from foldserve_exporter.diagnosis.finding import FindingKind
from foldserve_exporter.errors import Refused
from foldserve_exporter.options import OptionsError

from ..diagnosis.clinic import untouched
from ..digits import accuracy, digits, healthy, held_back
from ..models import snapshot


def test_a_sick_model_is_well_in_its_bundle_and_as_it_was_in_memory(tmp_path: Path) -> None:
    model = untouched(tmp_path).model
    before = snapshot(model)
    images, labels = (array[:300] for array in digits())
    exported = export_model(model, tmp_path, "well", recalibrate=images, recalibrate_labels=labels, golden=4)
    assert snapshot(model) == before
    held, wanted = held_back()
    bundle = Bundle.open(exported.path)
    engine = load_engine(bundle, EngineKind.ONNXRUNTIME, EngineSpec())
    try:
        served = engine.run({"image": held})["probabilities"]
    finally:
        engine.close()
    assert accuracy(model.predict(held, verbose=0), wanted) < 0.6
    assert accuracy(served, wanted) > 0.9
    done = recalibrate(model, images)
    assert bundle.manifest.recalibration == Recalibration(300, done.sha256)
    assert Manifest.from_bytes(bundle.manifest.to_bytes()) == bundle.manifest
    page = (exported.path / "report.html").read_text()
    assert "moving statistics estimated anew from 300 samples" in page
    assert "the model, recalibrated: " in page, "the diagnosis is not of the file"
    assert "nan" not in page
    assert exported.report.recalibration is not None
    assert exported.report.recalibration.after["probabilities"].fit > 0.9
    assert not any(finding.kind is FindingKind.PREDICT_DIFFERS for finding in exported.report.findings)


def test_what_labels_say_is_worse_is_not_exported(tmp_path: Path) -> None:
    model, (samples, _) = healthy(), held_back()
    dark = (samples[:100] * 0.2).astype(np.float32)
    answered = np.asarray(model.predict(dark, verbose=0)).argmax(axis=1)
    with pytest.raises(Refused, match="makes the model worse"):
        export_model(model, tmp_path, "worse", recalibrate=dark, recalibrate_labels=answered)
    assert list(tmp_path.iterdir()) == []


def test_labels_without_samples_are_a_mistake(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionsError, match="give recalibrate as well"):
        export_model(healthy(), tmp_path, "x", recalibrate_labels=np.zeros(3))
    np.save(tmp_path / "few.npy", held_back()[0][:5])
    healthy().save(tmp_path / "model.keras")
    arguments: list[Any] = [tmp_path / "model.keras", "-o", tmp_path / "models", "--name", "few"]
    assert main([str(argument) for argument in (*arguments, "--recalibrate", tmp_path / "few.npy")]) == 2
    assert "at least 32 samples, received 5" in capfd.readouterr().err
