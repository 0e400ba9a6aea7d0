"""Architectures pass the whole export: SavedModel and ONNX, reloaded in fresh processes, within the limit.

What stays in their ONNX files, in which words, stands in `docs/architectures.md`.
"""

from collections import Counter
from pathlib import Path

import keras
import pytest

from benchmarks.matrix import counting, models
from foldserve_exporter import export_model
from tests.exporter.architectures import ARCHITECTURES

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _registered_in_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of the matrix's own are registered by its package."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")


def assert_exports(name: str, folder: Path) -> Path:
    """Export a model; the export itself refuses artifacts that deviate."""
    keras.backend.clear_session()
    made = models.make(name)
    exported = export_model(made.model, folder, name, custom_objects=made.custom_objects)
    candidates = {verdict.name for verdict in exported.report.verification.candidates}
    assert {"tensorflow, SavedModel", "onnxruntime, not optimised", "onnxruntime, optimised"} <= candidates
    operations = counting.onnx_model(exported.path / "model.onnx")
    assert not {"Rsqrt", "BatchNorm"} & set(operations)
    with_constants = Counter(operations) - Counter(counting.between_tensors(exported.path / "model.onnx"))
    affine = any("affine" in entry.action for entry in exported.report.fold)
    assert bool(with_constants) == bool(affine or models.forced(name)), with_constants
    if name in ARCHITECTURES:
        assert Counter(entry.action for entry in exported.report.fold) == ARCHITECTURES[name].actions
    return exported.path / "model.onnx"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", models.names())
def test_a_model_is_exported_as_both(name: str, tmp_path: Path) -> None:
    assert_exports(name, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_preactivated_network_keeps_its_sums_alone(tmp_path: Path) -> None:
    path = assert_exports("preactivated_residual", tmp_path)
    assert counting.onnx_model(path) == counting.between_tensors(path) == {"Add": 2}
