"""Models whose weights do not fit into one ONNX file; a few bytes stand in for 2 GiB."""

from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from foldserve_contract.bundle import ONNX, ONNX_DATA, Bundle
from foldserve_contract.errors import DigestMismatch
from foldserve_contract.manifest import Source
from foldserve_contract.tolerance import deviation, within
from foldserve_engine.errors import ArtifactUnusable
from foldserve_engine.load import load_engine
from foldserve_engine.onnx.artifact_files import OnnxFiles
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_exporter import bundle_files, export_model
from foldserve_exporter.emit.external_data import write_onnx_with_external_data
from foldserve_exporter.errors import Refused
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.steps.fold import FoldedModel, fold_model
from foldserve_exporter.steps.reference import ReferenceSet, make_reference

from .models import randomise

layers = keras.layers


def model() -> keras.Model:
    """Kernels of every kind, one layer called twice, a weight too small to lie apart."""
    image, words = keras.Input((9, 8, 3), name="image"), keras.Input((5,), dtype="int32", name="words")
    x = layers.BatchNormalization()(layers.Conv2D(8, (3, 2), padding="same", activation="relu")(image))
    shared = layers.Conv2D(8, 3, padding="same")
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3)(shared(shared(x))))
    x = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(6, 2)(x))
    y = layers.LSTM(6)(layers.Embedding(11, 7)(words))
    return randomise(keras.Model([image, words], layers.Dense(4, name="scores")(layers.Concatenate()([x, y]))), 8)


@pytest.fixture(scope="module")
def folded() -> FoldedModel:
    return fold_model(Loaded(model(), Source("large", "")))


@pytest.fixture(scope="module")
def expected(folded: FoldedModel) -> ReferenceSet:
    return make_reference(folded, ExportOptions(Path(), "large"))


@pytest.fixture(scope="module")
def written(folded: FoldedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / ONNX
    write_onnx_with_external_data(folded.model, folded.signature, path, least_bytes=100)
    return path


def files(path: Path) -> OnnxFiles:
    return OnnxFiles(path.read_bytes(), {ONNX_DATA: path.with_name(ONNX_DATA).read_bytes()})


@pytest.mark.parametrize("optimise", [True, False])
def test_it_answers_as_the_reference(
    written: Path, folded: FoldedModel, expected: ReferenceSet, optimise: bool
) -> None:
    engine = OnnxEngine.from_bytes(files(written), folded.signature, EngineSpec(optimise=optimise))
    answers = engine.run(expected.rows.judged_inputs)["scores"]
    assert np.ptp(expected.reference.outputs["scores"], axis=0).max() > 0.1
    assert within(deviation(answers, expected.reference.outputs["scores"]), expected.reference.bound("scores"))


def test_every_larger_weight_lies_in_the_file_beside_it_and_nowhere_else(written: Path, folded: FoldedModel) -> None:
    graph = onnx.load(written, load_external_data=False).graph
    apart = [tensor for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in apart]
    assert {place["location"] for place in places} == {ONNX_DATA}
    large = [variable for variable in folded.model.model.variables if variable.numpy().nbytes >= 100]
    assert sorted(int(place["length"]) for place in places) == sorted(v.numpy().nbytes for v in large)
    assert all(int(place["offset"]) % 4096 == 0 for place in places)
    assert {value.name for value in graph.input} == {"image", "words"}


def test_a_server_that_loads_by_path_finds_them(written: Path, folded: FoldedModel, expected: ReferenceSet) -> None:
    """The session as Triton opens it, from the version directory."""
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    engine = OnnxEngine.from_bytes(files(written), folded.signature)
    rows = expected.rows.judged_inputs
    np.testing.assert_array_equal(session.run(["scores"], rows)[0], engine.run(rows)["scores"])


def test_weights_that_are_not_given_are_taken_from_nowhere(
    written: Path, folded: FoldedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArtifactUnusable):
        OnnxEngine.from_bytes(written.read_bytes(), folded.signature)
    short = OnnxFiles(written.read_bytes(), {ONNX_DATA: files(written).external[ONNX_DATA][:-1]})
    with pytest.raises(ArtifactUnusable):
        OnnxEngine.from_bytes(short, folded.signature)
    monkeypatch.chdir(written.parent)  # where a relative name would find them
    with pytest.raises(ArtifactUnusable):
        OnnxEngine.from_bytes(written.read_bytes(), folded.signature)


def test_both_files_are_verified_sealed_and_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_files, "SINGLE_FILE_BYTES", 1000)
    monkeypatch.setattr("foldserve_exporter.emit.external_data.write_onnx_with_external_data.__defaults__", (100,))
    exported = export_model(model(), tmp_path, "large", golden=4)
    bundle = Bundle.open(exported.path)
    assert {ONNX, ONNX_DATA} <= {file.path for file in bundle.manifest.files}
    golden = bundle.golden()
    engine = load_engine(bundle, EngineKind.ONNXRUNTIME)
    limit = bundle.manifest.tolerances["scores"].limit
    assert within(deviation(engine.run(golden.inputs)["scores"], golden.outputs["scores"]), limit)
    data = exported.path / ONNX_DATA
    data.write_bytes(data.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(DigestMismatch, match=ONNX_DATA):
        load_engine(bundle, EngineKind.ONNXRUNTIME)
    with pytest.raises(Refused, match="one file"):
        export_model(model(), tmp_path, "large", golden=4, tf32=True)
