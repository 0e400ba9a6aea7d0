"""A bundle may answer with a layer's features, take raw bytes, and know the names of its classes."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Source
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind
from foldserve_exporter import export_model
from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import cut, rebuild, trace
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions, OptionsError
from foldserve_exporter.preprocessing import Preprocessing, with_preprocessing
from foldserve_exporter.steps.fold import fold_model

from .models import randomise

layers = keras.layers


@pytest.fixture(scope="module")
def model() -> Any:
    image = keras.Input((9, 8, 3), name="image")
    x = layers.BatchNormalization(name="bn_1")(layers.Conv2D(6, 3, name="conv_1")(image))
    x = layers.BatchNormalization(name="bn_2")(layers.Conv2D(5, 3, name="conv_2")(layers.ReLU()(x)))
    backbone = keras.Model(image, layers.ReLU(name="last")(x), name="backbone")
    outer = keras.Input((9, 8, 3), name="image")
    pooled = layers.GlobalAveragePooling2D(name="pooled")(backbone(outer))
    return randomise(keras.Model(outer, layers.Dense(4, activation="softmax", name="scores")(pooled)), 6)


def images(rows: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, 9, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("layer", ["conv_2", "backbone/conv_2", "bn_1", "last", "pooled"])
def test_a_cut_answers_what_the_unfolded_layer_answered(model: Any, layer: str) -> None:
    graph = cut(trace(model), layer)
    name = layer.rsplit("/", 1)[-1]
    owner = model if name == "pooled" else model.get_layer("backbone")
    if name == "pooled":
        wanted = np.asarray(owner.get_layer(name)(model.get_layer("backbone")(images(), training=False)))
    else:
        wanted = np.asarray(keras.Model(owner.input, owner.get_layer(name).output)(images(), training=False))
    assert graph.output_names == (name,)
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(np.asarray(rebuild(graph)(images(), training=False)), wanted, atol=1e-5)
    folded = fold_model(Loaded(model, Source("m", "")), ExportOptions(Path(), "m", features=layer))
    np.testing.assert_allclose(folded.model.run({"image": images()})[name], wanted, atol=1e-5)


def test_a_layer_goes_by_the_same_path_with_preprocessing_before_the_model(model: Any) -> None:
    options = ExportOptions(Path(), "m", features="backbone/conv_2", preprocess="tf", rename=("conv_2=map",))
    folded = fold_model(Loaded(model, Source("m", "")), options)
    raw = np.random.default_rng(2).integers(0, 256, (4, 9, 8, 3)).astype(np.uint8)
    backbone = model.get_layer("backbone")
    unfolded = keras.Model(backbone.input, backbone.get_layer("conv_2").output)
    wanted = np.asarray(unfolded(raw.astype(np.float32) / 127.5 - 1, training=False))
    np.testing.assert_allclose(folded.model.run({"image": raw})["map"], wanted, atol=1e-5)


def test_layers_that_cannot_be_cut_at_are_refused_by_name(model: Any) -> None:
    graph = trace(model)
    with pytest.raises(Refused, match=r"no layer 'conv'; it has, for example, backbone/conv_1, backbone/conv_2"):
        cut(graph, "conv")
    shared = layers.Dense(3, name="shared")
    x = keras.Input((3,), name="x")
    with pytest.raises(Refused, match="called 2 times"):
        cut(trace(keras.Model(x, shared(shared(x)))), "shared")


def test_a_cut_leaves_out_the_inputs_that_its_layer_does_not_need() -> None:
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    graph = cut(trace(keras.Model({"x": x, "y": y}, layers.Add()([layers.Dense(3, name="right")(y), x]))), "right")
    assert graph.input_names == ("y",) and graph.notes == (
        "input 'x': no answer depends on it, and the bundle lacks it",
    )
    assert rebuild(graph)({"y": np.ones((2, 3), np.float32)}).shape == (2, 3)


def test_features_with_raw_bytes_are_exported_verified_and_recorded(model: Any, tmp_path: Path) -> None:
    raw = np.random.default_rng(1).integers(0, 256, (40, 9, 8, 3)).astype(np.uint8)
    exported = export_model(model, tmp_path, "m", features="pooled", preprocess="torch", samples=raw, golden=4)
    bundle = Bundle.open(exported.path)
    signature = bundle.manifest.signature
    assert (signature.inputs[0].name, signature.inputs[0].dtype) == ("image", "uint8")
    assert (signature.outputs[0].name, signature.outputs[0].shape) == ("pooled", (-1, 5))
    assert bundle.manifest.preprocessing == "torch"
    prepared = keras.applications.imagenet_utils.preprocess_input(raw.astype(np.float32), mode="torch")
    features = model.get_layer("backbone")(prepared, training=False)
    wanted = np.asarray(model.get_layer("pooled")(features))
    answer = load_engine(bundle, EngineKind.ONNXRUNTIME).run({"image": raw})["pooled"]
    np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("how", ["tf", "torch", "caffe"])
def test_preprocessing_is_that_of_keras_applications(model: Any, how: str) -> None:
    raw = np.random.default_rng(1).integers(0, 256, (5, 9, 8, 3)).astype(np.uint8)
    before = [np.array(variable) for variable in model.variables]
    wrapped = with_preprocessing(model, Preprocessing.parse(how))
    wanted = model(keras.applications.imagenet_utils.preprocess_input(raw.astype(np.float32), mode=how))
    np.testing.assert_allclose(np.asarray(wrapped(raw)["scores"]), np.asarray(wanted), atol=1e-5)
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, model.variables, strict=True))


@pytest.mark.parametrize("shape", [(3, 7, 6), (3, 7, 3)])
@pytest.mark.parametrize("how", ["torch", "caffe"])
def test_preprocessing_goes_by_the_channels_wherever_the_model_has_them(shape: tuple[int, ...], how: str) -> None:
    draw = np.random.default_rng(2)
    first = keras.Sequential([keras.Input(shape, name="image"), layers.Conv2D(4, 3, data_format="channels_first")])
    last = keras.Sequential([keras.Input((*shape[1:], shape[0]), name="image"), layers.Conv2D(4, 3)])
    weights = [draw.normal(size=variable.shape) for variable in first.weights]
    first.set_weights(weights)
    last.set_weights(weights)
    wrapped = rebuild(trace(with_preprocessing(first, Preprocessing.parse(how))))
    raw = draw.integers(0, 256, (5, *shape)).astype(np.uint8)
    turned = np.moveaxis(raw, 1, -1)
    wanted = np.asarray(last(keras.applications.imagenet_utils.preprocess_input(turned.astype(np.float32), mode=how)))
    (answer,) = keras.tree.flatten(wrapped(raw))
    np.testing.assert_allclose(np.moveaxis(np.asarray(answer), 1, -1), wanted, atol=1e-5 * np.abs(wanted).max())


def test_scales_may_be_fractions_with_an_offset() -> None:
    assert Preprocessing.parse("1/255").scale == (1 / 255,)
    assert (Preprocessing.parse("1/127.5,-1").scale, Preprocessing.parse("2,-1").offset) == ((1 / 127.5,), (-1.0,))
    for words in ("", "1,2,3", "1/0", "imagenet", "nan", "1,inf", "0", "0/255,3"):
        with pytest.raises(OptionsError, match="preprocess must be"):
            Preprocessing.parse(words)


def test_preprocessing_that_does_not_fit_the_model_is_refused() -> None:
    grey = keras.Sequential([keras.Input((8, 8, 1), name="x"), layers.Conv2D(2, 3)])
    with pytest.raises(Refused, match="for 3 channels; input 'x' has 1"):
        with_preprocessing(grey, Preprocessing.parse("caffe"))
    first = keras.Sequential([keras.Input((2, 8, 6), name="x"), layers.Conv2D(2, 3, data_format="channels_first")])
    with pytest.raises(Refused, match="for 3 channels; input 'x' has 2 or 6"):
        with_preprocessing(first, Preprocessing.parse("caffe"))
    tokens = keras.Sequential([keras.Input((8,), dtype="int32", name="x"), layers.Embedding(4, 2)])
    with pytest.raises(Refused, match="one float input"):
        with_preprocessing(tokens, Preprocessing.parse("tf"))


def test_labels_are_read_checked_and_kept(model: Any, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\nbird\nfish\n", encoding="utf-8")
    (tmp_path / "names.json").write_text(json.dumps(["a", "b", "c"]), encoding="utf-8")
    loaded = Loaded(model, Source("m", ""))
    folded = fold_model(loaded, ExportOptions(Path(), "m", labels=tmp_path / "names.txt"))
    assert folded.labels == ("cat", "dog", "bird", "fish")
    with pytest.raises(Refused, match=r"3 labels, and the outputs are vectors of \[4\] scores"):
        fold_model(loaded, ExportOptions(Path(), "m", labels=tmp_path / "names.json"))
    (tmp_path / "bad.txt").write_text("cat\n\ndog\n", encoding="utf-8")
    for name in ("bad.txt", "absent.txt"):
        with pytest.raises(OptionsError, match=name):
            fold_model(loaded, ExportOptions(Path(), "m", labels=tmp_path / name))
