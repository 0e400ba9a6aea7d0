"""Exported artifacts answer as the model does; others are never published."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import VersionExists
from foldserve_contract.repository import list_repository
from foldserve_engine.device import Device
from foldserve_engine.gate.bounds import golden_bounds
from foldserve_engine.gate.golden_check import check_golden
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_exporter import bundle_files, export_model, pipeline
from foldserve_exporter.cli import main
from foldserve_exporter.diagnosis.finding import FindingKind, Severity
from foldserve_exporter.errors import Refused
from foldserve_exporter.options import DEFAULT_MAX_BATCH
from foldserve_exporter.report.terminal_progress import STEPS
from foldserve_exporter.report.text_lines import recalibration_lines
from foldserve_exporter.report.verification_failed import VerificationFailed
from foldserve_exporter.steps.publish import Exported

from .models import randomise


def nested_model() -> keras.Model:
    layers = keras.layers
    image = keras.Input((12, 10, 3), name="image")
    x = layers.Conv2D(6, (3, 2), padding="same", name="conv_1")(image)
    x = layers.BatchNormalization(name="bn_1")(x, training=True)
    shortcut = x = layers.ReLU(name="relu_1")(x)
    x = layers.BatchNormalization(name="bn_2")(layers.Conv2D(6, 3, padding="same", name="conv_2")(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, shortcut]))
    backbone = keras.Model(image, x, name="backbone")
    head = keras.layers.Dense(5, activation="softmax", name="probabilities")
    return randomise(keras.Sequential([keras.Input((12, 10, 3), name="image"), backbone, layers.Dropout(0.5), head]), 3)


def answers(model: Any) -> tuple[bytes, ...]:
    return tuple(np.array(variable).tobytes() for variable in model.variables)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((40, 12, 10, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return nested_model()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, model: Any, samples: np.ndarray) -> Exported:
    before = answers(model)
    exported = export_model(model, tmp_path_factory.mktemp("models"), "nested", samples=samples, keep_keras=True)
    assert answers(model) == before
    return exported


def expected(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The untouched model's own layers, called one by one in inference mode."""
    backbone, _, head = model.layers
    x = inputs
    conv_1, bn_1, _, conv_2, bn_2 = (backbone.get_layer(n) for n in ("conv_1", "bn_1", "relu_1", "conv_2", "bn_2"))
    shortcut = keras.ops.relu(bn_1(conv_1(x), training=False))
    x = keras.ops.mean(bn_2(conv_2(shortcut), training=False) + shortcut, axis=(1, 2))
    return np.asarray(head(x))


@pytest.mark.parametrize("kind", [EngineKind.ONNXRUNTIME, EngineKind.TENSORFLOW])
def test_both_artifacts_answer_as_the_model_in_inference(
    exported: Exported, model: Any, samples: np.ndarray, kind: EngineKind
) -> None:
    engine = load_engine(Bundle.open(exported.path), kind, EngineSpec())
    try:
        served = engine.run({"image": samples})["probabilities"]
    finally:
        engine.close()
    np.testing.assert_allclose(served, expected(model, samples), atol=2e-6)
    assert np.ptp(served, axis=0).max() > 0.01  # they vary, so that agreement means something


def test_the_bundle_says_what_was_verified(exported: Exported) -> None:
    bundle = Bundle.open(exported.path)
    manifest = bundle.manifest
    assert (manifest.model, manifest.version) == ("nested", 1)
    assert [(entry.bn, entry.call) for entry in manifest.fold] == [("backbone/bn_1", 0), ("backbone/bn_2", 0)]
    tolerance = manifest.tolerances["probabilities"]
    assert 0 < tolerance.measured <= tolerance.limit <= min(tolerance.promised, tolerance.bound)
    assert manifest.engines.keys() == {"onnxruntime", "tensorflow"}
    assert "tf-keras" not in manifest.tools  # it took no part
    assert manifest.golden.samples - manifest.golden.stretched == 32
    assert manifest.golden.stretched > 0
    assert not manifest.golden.synthetic
    assert {f.path for f in manifest.files} >= {
        "saved_model.pb",
        "model.onnx",
        "golden.npz",
        "report.html",
        "model.keras",
    }


def test_every_step_is_announced_in_the_order_in_which_the_terminal_counts_them(exported: Exported) -> None:
    """Durations without those of the report and the sealing, which the report cannot hold."""
    assert (*exported.report.seconds, "report", "seal") == STEPS


def test_the_baked_phase_is_named_and_gone(exported: Exported) -> None:
    assert exported.report.baked == ("backbone/bn_1 is called with training=True",)
    [baked] = [finding for finding in exported.report.findings if finding.kind is FindingKind.BAKED_PHASE]
    assert (baked.severity, baked.layer) == (Severity.ERROR, "backbone/bn_1")
    assert baked.effect is not None
    assert baked.effect.largest > 0.01
    assert {c.name for c in exported.report.verification.candidates} >= {
        "folded model, phase 1",
        "Keras reload, phase 1",
        "tensorflow, SavedModel",
        "onnxruntime, optimised",
    }
    assert all(candidate.passed for candidate in exported.report.verification.candidates)


def test_golden_samples_come_from_the_samples_and_pass_in_an_engine(exported: Exported, samples: np.ndarray) -> None:
    bundle = Bundle.open(exported.path)
    golden = bundle.golden()
    given = {row.tobytes() for row in samples}
    assert all(row.tobytes() in given for row in golden.inputs["image"][:32])
    engine = load_engine(bundle, EngineKind.ONNXRUNTIME, EngineSpec())
    assert check_golden(engine, golden, golden_bounds(bundle.manifest, EngineKind.ONNXRUNTIME, Device())).passed


def test_tritons_own_message_reads_its_configuration(exported: Exported) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    config = text_format.Parse((exported.path.parent / "config.pbtxt").read_text(), ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("nested", "onnxruntime", DEFAULT_MAX_BATCH)
    assert (exported.path / "model.onnx").is_file()  # the name that this backend looks for


def test_warmup_records_are_tensorflow_servings_own(exported: Exported) -> None:
    import tensorflow as tf

    from foldserve_contract.protos import PredictionLog
    from foldserve_contract.tensors import decode

    path = exported.path / "assets.extra" / "tf_serving_warmup_requests"
    records = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    golden = Bundle.open(exported.path).golden()
    assert len(records) == golden.rows
    for row, record in enumerate(records):
        log = record.predict_log
        assert (log.request.model_spec.name, log.request.model_spec.signature_name) == ("nested", "serving_default")
        np.testing.assert_array_equal(decode(log.request.inputs["image"])[0], golden.inputs["image"][row])
        np.testing.assert_array_equal(
            decode(log.response.outputs["probabilities"])[0], golden.outputs["probabilities"][row]
        )


def test_the_onnx_model_has_readable_names_and_no_normalisation_left(exported: Exported) -> None:
    import onnx

    model = onnx.load(exported.path / "model.onnx")
    dimensions = [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, dimensions) == ("image", ["batch", 12, 10, 3])
    assert [output.name for output in model.graph.output] == ["probabilities"]
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "Rsqrt", "Sqrt", "Mul", "Dropout"}


def test_reports_are_whole_and_need_no_network(exported: Exported) -> None:
    report = json.loads((exported.path / "report.json").read_text())
    assert report["published"] is True
    assert len(report["verification"]["candidates"]) == 7
    page = (exported.path / "report.html").read_text()
    assert "backbone/bn_1" in page
    assert not re.search(r"(src|href)=|@import|url\(", page)


def test_an_existing_version_is_refused_unless_forced(exported: Exported, model: Any) -> None:
    with pytest.raises(VersionExists, match="--force"):
        export_model(model, exported.path.parent.parent, "nested", version=1)


def test_spoiled_artifacts_are_refused_and_nothing_is_published(
    tmp_path: Path, model: Any, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(folded: Any, signature: Any, directory: Path) -> None:
        bundle_files.write_models(folded, signature, directory)
        path = directory / "model.onnx"
        path.write_bytes(path.read_bytes()[:-100])
        variables = next((directory / "variables").glob("variables.data*"))
        values = np.frombuffer(variables.read_bytes()[: 4 * 108], np.float32).copy()
        values[np.argmax(np.abs(values))] *= np.float32(1.01)
        variables.write_bytes(values.tobytes() + variables.read_bytes()[values.nbytes :])

    monkeypatch.setattr(pipeline, "write_models", spoiled)
    with pytest.raises(VerificationFailed) as failure:
        export_model(model, tmp_path, "nested", samples=samples)
    failed = {c.name for c in failure.value.report.verification.candidates if not c.passed}
    assert failed == {"tensorflow, SavedModel", "onnxruntime, not optimised", "onnxruntime, optimised"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nested-1.failed.html", "nested-1.failed.json"]
    report = json.loads((tmp_path / "nested-1.failed.json").read_text())
    assert report["published"] is False
    assert list_repository(tmp_path).models == ()  # and no folder, which Triton would take for a model
    assert all(path.is_file() for path in tmp_path.iterdir())


def test_a_model_without_batch_normalization_is_exported_and_verified_all_the_same(tmp_path: Path) -> None:
    tokens = keras.Input((7,), dtype="int32", name="tokens")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 6)(tokens))
    outputs = [keras.layers.Dense(3, name="scores")(x), keras.layers.Dense(1, name="value")(x)]
    exported = export_model(randomise(keras.Model(tokens, outputs)), tmp_path, "plain", golden=4)
    manifest = Bundle.open(exported.path).manifest
    assert manifest.fold == ()
    assert [spec.name for spec in manifest.signature.outputs] == ["scores", "value"]
    assert manifest.golden.synthetic
    assert manifest.golden.samples - manifest.golden.stretched == 4


@pytest.mark.parametrize("spoil", ["nan", "inf"])
def test_statistics_that_are_not_finite_are_refused_by_the_layers_name(tmp_path: Path, spoil: str) -> None:
    model = nested_model()
    layer = model.layers[0].get_layer("bn_2")
    layer.moving_variance.assign([1, 2, float(spoil), 1, 1, 1])
    with pytest.raises(Refused, match="backbone/bn_2"):
        export_model(model, tmp_path, "sick")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_never_needed_its_statistics_is_refused_with_the_reason(tmp_path: Path) -> None:
    model = nested_model()
    layer = model.layers[0].get_layer("bn_1")  # called with training=True
    layer.moving_mean.assign(np.full(6, np.nan))
    with pytest.raises(Refused, match=r"backbone/bn_1: .*called with training=True: it normalised by the batch"):
        export_model(model, tmp_path, "sick")
    samples = np.random.default_rng(0).normal(size=(40, 12, 10, 3)).astype(np.float32)
    report = export_model(model, tmp_path, "sick", recalibrate=samples).report
    assert report.published
    assert not any("nan" in line for line in recalibration_lines(report))


class TestTheCommand:
    """Exit codes and messages."""

    def test_it_exports_and_prints_where(self, tmp_path: Path, model: Any, capfd: pytest.CaptureFixture[str]) -> None:
        model.save(tmp_path / "nested.keras")
        arguments = [str(tmp_path / "nested.keras"), "-o", str(tmp_path / "models"), "--name", "nested", "--json"]
        assert main([*arguments, "--golden", "2"]) == 0
        report = json.loads(capfd.readouterr().out)
        assert report["source"]["file"] == "nested.keras"
        assert Bundle.open(tmp_path / "models" / "nested" / "1").manifest.source.sha256 == report["source"]["sha256"]
        assert main([*arguments, "--version", "1"]) == 2
        assert "exists already" in capfd.readouterr().err

    def test_a_file_that_is_no_model_ends_with_3(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.keras").write_text("no model")
        assert main([str(tmp_path / "x.keras"), "-o", str(tmp_path / "models"), "--name", "x"]) == 3
        assert "x.keras is not a Keras model" in capfd.readouterr().err
        assert list((tmp_path / "models").iterdir()) == []

    def test_statistics_that_are_not_finite_end_with_4(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        sick = nested_model()
        sick.layers[0].get_layer("bn_1").moving_mean.assign([float("nan")] * 6)
        sick.save(tmp_path / "sick.keras")
        assert main([str(tmp_path / "sick.keras"), "-o", str(tmp_path / "models"), "--name", "sick"]) == 4
        assert "backbone/bn_1" in capfd.readouterr().err

    def test_samples_and_names_that_cannot_be_used_end_with_2(
        self, tmp_path: Path, model: Any, capfd: pytest.CaptureFixture[str]
    ) -> None:
        model.save(tmp_path / "nested.keras")
        np.save(tmp_path / "wrong.npy", np.zeros((3, 8, 8, 3)))
        base = [str(tmp_path / "nested.keras"), "-o", str(tmp_path / "models"), "--name"]
        assert main([*base, "nested", "--samples", str(tmp_path / "wrong.npy")]) == 2
        assert "expected shape [-1, 12, 10, 3]" in capfd.readouterr().err
        assert main([*base, "../out"]) == 2
        assert "model name '../out'" in capfd.readouterr().err

    def test_a_disk_that_takes_no_more_ends_with_1_and_leaves_nothing(self, tmp_path: Path, model: Any) -> None:
        model.save(tmp_path / "nested.keras")
        command = f"ulimit -f 4; exec '{sys.executable}' -m foldserve_exporter.cli '{tmp_path / 'nested.keras'}'"
        words = ["bash", "-c", f"{command} -o '{tmp_path / 'models'}' --name nested"]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ended.returncode == 1, ended.stderr
        assert "File too large" in ended.stderr
        assert "nothing was published" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert list((tmp_path / "models").iterdir()) == []

    def test_a_foreign_file_in_the_archive_is_no_door(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "evil.keras", "w") as archive:
            config = {"module": "os", "class_name": "system", "config": {"name": "x"}, "registered_name": "system"}
            archive.writestr("config.json", json.dumps(config))
        assert main([str(tmp_path / "evil.keras"), "-o", str(tmp_path / "models"), "--name", "evil"]) == 4
