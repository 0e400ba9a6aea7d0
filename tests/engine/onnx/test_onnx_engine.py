import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import DigestMismatch, MissingFile
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_engine.errors import (
    ArtifactUnusable,
    DeviceNotFound,
    RunFailed,
    RuntimeConflict,
    SignatureMismatch,
)
from foldserve_engine.load import load_engine
from foldserve_engine.onnx.onnx_engine import OnnxEngine, check_installed, folder_of
from foldserve_engine.spec import EngineKind, EngineSpec
from tests.bundles import dense_model, make_bundle, sequence_model, signature_of, two_headed_model

MODEL = dense_model()
SIGNATURE = signature_of(MODEL)

Spec = tuple[str, str, tuple[int, ...]]


def engine(signature: Signature = SIGNATURE, **options: Any) -> OnnxEngine:
    return OnnxEngine.from_bytes(MODEL.SerializeToString(), signature, EngineSpec(**options))


def test_it_computes_what_the_model_says() -> None:
    features = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    kernel, bias = (np.frombuffer(weight.raw_data, np.float32) for weight in MODEL.graph.initializer)
    answer = engine().run({"features": features})["scores"]
    np.testing.assert_allclose(answer, features @ kernel.reshape(4, 3) + bias, atol=1e-5)


def test_every_output_has_its_own_name() -> None:
    model = two_headed_model()
    loaded = OnnxEngine.from_bytes(model.SerializeToString(), signature_of(model))
    answers = loaded.run({"left": np.zeros((2, 4), np.float32), "right": np.ones((2, 2), np.float32)})
    assert {name: answer.shape for name, answer in answers.items()} == {"joined": (2, 6), "product": (2, 3)}


def test_dynamic_dimensions_are_free() -> None:
    model = sequence_model(repeat=2)
    loaded = OnnxEngine.from_bytes(model.SerializeToString(), signature_of(model))
    assert loaded.run({"steps": np.zeros((2, 7, 4), np.float32)})["scores"].shape == (2, 14, 3)


def test_what_it_cannot_compute_is_a_named_error() -> None:
    with pytest.raises(RunFailed, match="could not compute"):
        engine().run({"features": np.zeros((2, 5), np.float32)})


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ArtifactUnusable, match="refuses"):
        OnnxEngine.from_bytes(b"no model", SIGNATURE)


def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu() -> None:
    folder = re.escape(str(Path(onnxruntime.__file__).parent))
    with pytest.raises(DeviceNotFound, match=rf"cuda:0 needs .* the build in {folder}, which comes first on the path"):
        engine(device="cuda:0")


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([("x", "float32", (-1, 4))], None, r"inputs are \['features'\]; the manifest says \['x'\]"),
        ([("features", "float64", (-1, 4))], None, "dtype float32; the manifest says float64"),
        ([("features", "float32", (-1, 5))], None, r"shape \[-1, 4\]; the manifest says \[-1, 5\]"),
        ([("features", "float32", (-1, -1))], None, r"shape \[-1, 4\]; the manifest says \[-1, -1\]"),
        ([("features", "float32", (-1, 4, 1))], None, "the manifest says"),
        (None, [("other", "float32", (-1, 3))], r"outputs are \['scores'\]"),
        (None, [("scores", "float32", (-1, 2))], r"output 'scores' has shape \[-1, 3\]"),
    ],
)
def test_an_artifact_with_another_signature_is_refused(
    inputs: list[Spec] | None, outputs: list[Spec] | None, message: str
) -> None:
    wrong = Signature(
        tuple(TensorSpec(*spec) for spec in inputs) if inputs else SIGNATURE.inputs,
        tuple(TensorSpec(*spec) for spec in outputs) if outputs else SIGNATURE.outputs,
    )
    with pytest.raises(SignatureMismatch, match=message):
        engine(wrong)


def test_a_dimension_that_the_manifest_alone_fixes_is_fine() -> None:
    model = sequence_model()
    signature = signature_of(model)
    fixed = replace(signature, inputs=(TensorSpec("steps", "float32", (-1, 3, 4)),))
    OnnxEngine.from_bytes(model.SerializeToString(), fixed)


@pytest.mark.parametrize(
    "folders",
    [
        {"onnxruntime": Path("/site")},
        {"onnxruntime-gpu": Path("/site")},
        {"onnxruntime": Path("/site"), "onnxruntime-gpu": Path("/other")},
        {},
    ],
)
def test_runtimes_in_folders_of_their_own_are_fine(folders: dict[str, Path]) -> None:
    check_installed(folders.get)


def test_two_runtimes_that_overwrite_each_other_are_a_named_error() -> None:
    with pytest.raises(RuntimeConflict, match=r"both installed in /site .* uninstall both"):
        check_installed(lambda distribution: Path("/site"))


def test_where_a_distribution_is_installed_is_where_it_is_imported_from() -> None:
    assert folder_of("onnxruntime") == Path(onnxruntime.__file__).parents[1].resolve()
    assert folder_of("no-such-distribution") is None


def test_a_bundles_model_is_loaded_from_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    bundle = Bundle.open(make_bundle(tmp_path, model=MODEL))
    assert load_engine(bundle, EngineKind.ONNXRUNTIME).signature == SIGNATURE
    (bundle.path / "model.onnx").write_bytes(dense_model(seed=1).SerializeToString())
    with pytest.raises(DigestMismatch):
        load_engine(bundle, EngineKind.ONNXRUNTIME)


def test_a_bundle_without_a_saved_model_has_none_to_load(tmp_path: Path) -> None:
    bundle = Bundle.open(make_bundle(tmp_path, model=MODEL))
    with pytest.raises(MissingFile, match="saved_model"):
        load_engine(bundle, EngineKind.TENSORFLOW)


def test_nothing_is_reported_from_where_models_run() -> None:
    code = (
        "from foldserve_engine.onnx.onnx_engine import import_runtime; import_runtime(); import os; print(os.environ)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'ORT_DISABLE_TELEMETRY': '1'" in printed.stdout
    assert "metric_counters" not in printed.stderr
