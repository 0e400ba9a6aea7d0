from pathlib import Path

import pytest

from foldserve_contract.bundle import MANIFEST, ONNX, SAVED_MODEL
from foldserve_engine.protocol import EngineKind
from foldserve_server.launcher import choose, choose_shadow
from foldserve_server.options import EngineOptions
from tests.bundles import dense_model, make_bundle

ONNXRUNTIME, TENSORFLOW = EngineKind.ONNXRUNTIME, EngineKind.TENSORFLOW


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, model=dense_model())


def test_a_bundle_whose_onnx_model_is_missing_is_not_taken_for_one_without(version: Path) -> None:
    assert choose(version, EngineOptions(), "m") is ONNXRUNTIME
    (version / ONNX).unlink()
    assert choose(version, EngineOptions(), "m") is ONNXRUNTIME, "so that the reason names it"


def test_a_saved_model_without_a_manifest_is_tensorflow_s_whatever_lies_beside_it(version: Path) -> None:
    (version / SAVED_MODEL).touch()
    (version / MANIFEST).unlink()
    assert choose(version, EngineOptions(), "m") is TENSORFLOW
    assert choose_shadow(version, EngineOptions(shadow="onnx"), TENSORFLOW) is None
    assert choose(version, EngineOptions(kind="onnx"), "m") is ONNXRUNTIME, "who asks for it is told why it cannot be"
