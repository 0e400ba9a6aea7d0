"""The command `diagnose-model`: exit codes, text, pages and files."""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.diagnosis.cli import main

from ..digits import accuracy, healthy, held_back
from .clinic import stale

OLD = Path(__file__).parent.parent / "legacy" / "tfkeras-2.10"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("diagnosis")
    healthy().save(folder / "healthy.keras")
    stale(folder).model.save(folder / "sick.keras")
    samples, labels = held_back()
    np.save(folder / "samples.npy", samples)
    np.save(folder / "labels.npy", labels)
    return folder


def arguments(folder: Path, model: str, *more: Any) -> list[str]:
    data = ["--samples", folder / "samples.npy", "--labels", folder / "labels.npy"]
    return [str(part) for part in (folder / model, *data, *more)]


def test_a_healthy_model_passes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "healthy.keras", "--fail-on", "warning")) == 0
    assert "nothing found" in capfd.readouterr().out


def test_findings_are_reported_as_text_json_and_page(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder, "sick.keras", "--json", "--html", tmp_path / "page.html")) == 0
    printed = json.loads(capfd.readouterr().out)
    finding = next(row for row in printed["findings"] if row["layer"] == "backbone/bn_2")
    assert (finding["kind"], finding["severity"]) == ("stale statistics", "error")
    assert finding["effect"]["largest"] > 0.1
    assert [drift["layer"] for drift in printed["drifts"]] == ["backbone/bn_1", "backbone/bn_2", "backbone/bn_3"]
    page = (tmp_path / "page.html").read_text()
    assert finding["what"].split(":")[0] in page
    assert "<svg" in page
    assert not re.search(r"(src|href)=|@import|url\(|<script", page)
    assert main([str(folder / "sick.keras")]) == 0
    assert "no samples" in capfd.readouterr().out


def test_fail_on_decides_the_exit_code(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "sick.keras", "--fail-on", "error")) == 1
    assert "findings of severity error" in capfd.readouterr().err


def test_fix_writes_a_repaired_model_and_leaves_the_original_file_alone(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "sick.keras").read_bytes()
    assert main(arguments(folder, "sick.keras", "--fix", tmp_path / "fixed.keras")) == 0
    assert "recalibrated 3 BatchNormalization on 300 samples" in capfd.readouterr().out
    assert (folder / "sick.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["fixed.keras"]
    samples, labels = held_back()
    fixed = keras.saving.load_model(tmp_path / "fixed.keras")
    assert accuracy(fixed.predict(samples, verbose=0), labels) > 0.9
    assert main([str(tmp_path / "fixed.keras"), "--samples", str(folder / "samples.npy"), "--fail-on", "warning"]) == 0


def test_fix_writes_nothing_where_it_would_make_the_model_worse(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    samples, labels = held_back()
    order = np.argsort(labels, kind="stable")
    np.savez(tmp_path / "one.npz", image=samples[order][:40] * 0.2)
    np.save(tmp_path / "zeros.npy", np.asarray(healthy().predict(samples[order][:40] * 0.2, verbose=0)).argmax(axis=1))
    data = ["--samples", str(tmp_path / "one.npz"), "--labels", str(tmp_path / "zeros.npy")]
    assert main([str(folder / "healthy.keras"), *data, "--fix", str(tmp_path / "out.keras")]) == 4
    assert "recalibrating makes the model worse" in capfd.readouterr().err
    assert not (tmp_path / "out.keras").exists()


def test_repairs_made_in_reading_an_old_file_are_noted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = str(OLD / "epsilon.h5")
    assert main([old, "--json", "--html", str(tmp_path / "page.html")]) == 0
    (note,) = json.loads(capfd.readouterr().out)["notes"]
    assert "1.001e-05" in note
    assert escape(note) in (tmp_path / "page.html").read_text()
    assert main([old]) == 0
    assert "note: " in capfd.readouterr().out


def test_usage_errors_and_unreadable_files_have_their_exit_codes(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.keras").write_text("no model")
    assert main([str(tmp_path / "x.keras")]) == 3
    assert main([str(folder / "healthy.keras"), "--samples", str(tmp_path / "none.npy")]) == 2
    for wrong in (
        ["--html", str(tmp_path / "absent" / "page.html")],
        ["--fix", str(tmp_path / "out.keras")],
        arguments(folder, "x", "--fix", folder / "sick.keras")[1:],
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(folder / "healthy.keras"), *wrong])
        assert stopped.value.code == 2
    assert "--fix" in capfd.readouterr().err
