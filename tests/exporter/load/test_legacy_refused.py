"""Files that are not models of Keras 2, or would run code, are refused before anything is constructed."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.load.loader import load_model

from .old_files import OWN, edited, old_keras, saved

NESTED = OWN / "tfkeras-2.10" / "nested.h5"
SMALL = OWN / "tfkeras-2.10" / "small"


def lambda_model(tf_keras: Any) -> Any:
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [tf_keras.Input((4,)), layers.Dense(3, name="dense"), layers.Lambda(lambda x: x * 2.0, name="twice")]
    )


@pytest.mark.parametrize("name", ["lambda.h5", "lambda.keras", "lambda"])
def test_a_lambda_is_refused_by_name_and_runs_only_when_trusted(tmp_path: Path, name: str) -> None:
    with old_keras() as tf_keras:
        model = lambda_model(tf_keras)
        path = saved(model, tmp_path / name)
        x = np.ones((2, 4), np.float32)
        answers = model.predict(x, verbose=0)
    with pytest.raises(Refused, match=r"'twice' is a Lambda.*--trust-code"):
        load_model(path)
    loaded = load_model(path, trust_code=True).model
    np.testing.assert_allclose(loaded.predict(x, verbose=0), answers, atol=1e-6)


def replace_head(**entry: Any) -> Any:
    def edit(config: Any) -> None:
        config["config"]["layers"][-1].update(entry)

    return edit


@pytest.mark.parametrize(
    "entry",
    [
        {"class_name": "Shift"},
        {"class_name": "TFSMLayer", "config": {"name": "head", "filepath": "/etc"}},
        {"class_name": "Dense", "config": {"name": "head", "units": 5, "activation": {"class_name": "Shift"}}},
        {"class_name": "TimeDistributed", "config": {"name": "head", "layer": {"class_name": "Shift", "config": {}}}},
    ],
)
def test_an_unknown_class_is_refused_at_any_depth(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = edited(NESTED, tmp_path / "unknown.h5", replace_head(**entry))
    with pytest.raises(Refused, match=r"layer '\w+' is of the class \w+, which foldserve does not know"):
        load_model(path)


def test_an_initialiser_is_never_constructed(tmp_path: Path) -> None:
    def edit(config: Any) -> None:
        config["config"]["layers"][-1]["config"]["kernel_initializer"] = {"class_name": "Evil", "config": {}}

    assert load_model(edited(NESTED, tmp_path / "initialised.h5", edit)).model.get_layer("head").units == 5


def test_an_unsupported_operator_is_refused_by_name(tmp_path: Path) -> None:
    def edit(config: Any) -> None:
        for layer in config["config"]["layers"]:
            if layer["config"].get("function") == "nn.relu":
                layer["config"]["function"] = "io.write_file"

    def as_slice(config: Any) -> None:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "SlicingOpLambda":
                layer["config"]["function"] = "nn.relu"

    path = edited(OWN / "tfkeras-2.10" / "operators.h5", tmp_path / "slices.h5", as_slice)
    with pytest.raises(Refused, match=r"getitem.*tf\.nn\.relu"):
        load_model(path)
    path = edited(OWN / "tfkeras-2.10" / "operators.h5", tmp_path / "writes.h5", edit)
    with pytest.raises(Refused, match=r"tf\.io\.write_file"):
        load_model(path)


def test_an_argument_that_keras_3_lacks_is_named(tmp_path: Path) -> None:
    def edit(config: Any) -> None:
        config["config"]["layers"][1]["config"]["layers"][2]["config"]["axis"] = [1, 3]

    with pytest.raises((Refused, CannotLoad), match="bn_1"):
        load_model(edited(NESTED, tmp_path / "axes.h5", edit))


def test_a_link_out_of_the_file_is_refused(tmp_path: Path) -> None:
    linked, external = tmp_path / "linked.h5", tmp_path / "external.h5"
    for path in (linked, external):
        shutil.copy(NESTED, path)
    with h5py.File(linked, "r+") as file:
        del file["model_weights/head/head/bias:0"]
        file["model_weights/head/head/bias:0"] = h5py.ExternalLink(str(NESTED), "model_weights/head/head/bias:0")
    with h5py.File(external, "r+") as file:
        del file["model_weights/head/head/bias:0"]
        (tmp_path / "secret").write_bytes(os.urandom(20))
        file["model_weights/head/head"].create_dataset(
            "bias:0", (5,), "f4", external=[(str(tmp_path / "secret"), 0, 20)]
        )
    with pytest.raises(Refused, match="is a link"):
        load_model(linked)
    with pytest.raises(Refused, match="another file"):
        load_model(external)


def test_weights_of_another_backend_are_refused(tmp_path: Path) -> None:
    path = edited(NESTED, tmp_path / "theano.h5", lambda config: None)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["backend"] = "theano"
    with pytest.raises(Refused, match=r"theano.*flipped"):
        load_model(path)


def test_weights_without_a_model_are_reported_as_such(tmp_path: Path) -> None:
    with old_keras() as tf_keras:
        model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3)])
        model.save_weights(tmp_path / "old.h5")
        model.save_weights(tmp_path / "new.weights.h5")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(tmp_path / "today.weights.h5")
    (tmp_path / "today.weights.h5").rename(tmp_path / "renamed.h5")
    for name in ("old.h5", "new.weights.h5", "renamed.h5"):
        with pytest.raises(CannotLoad, match=rf"{name} holds weights alone"):
            load_model(tmp_path / name)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    content = NESTED.read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CannotLoad, match=r"cut\.h5"):
        load_model(tmp_path / "cut.h5")


def test_files_without_a_keras_model_are_distinguished(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["numbers"] = np.arange(3)
    shutil.copy(NESTED, tmp_path / "listed.h5")
    with h5py.File(tmp_path / "listed.h5", "r+") as file:
        file.attrs["model_config"] = "[1, 2]"
    shutil.copy(NESTED, tmp_path / "first.h5")
    with h5py.File(tmp_path / "first.h5", "r+") as file:
        del file["model_weights"].attrs["keras_version"], file.attrs["keras_version"]
    (tmp_path / "empty").mkdir()
    expected = {
        "table.h5": "without a Keras model",
        "listed.h5": "describes no model",
        "first.h5": r"Keras 1\.0",
        "empty": r"saved_model\.pb",
        "absent.h5": "not there",
    }
    for name, message in expected.items():
        with pytest.raises(CannotLoad, match=rf"{name}.*{message}"):
            load_model(tmp_path / name)


def test_a_savedmodel_without_layers_is_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.copytree(SMALL, tmp_path / "plain")
    (tmp_path / "plain" / "keras_metadata.pb").unlink()
    with pytest.raises(CannotLoad, match=r"without Keras metadata.*model\.save"):
        load_model(tmp_path / "plain")


def test_a_damaged_savedmodel_is_refused(tmp_path: Path) -> None:
    for part in ("keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        folder = tmp_path / Path(part).name
        shutil.copytree(SMALL, folder)
        content = (folder / part).read_bytes()
        (folder / part).write_bytes(content[: len(content) // 2])
        with pytest.raises(CannotLoad):
            load_model(folder)


def test_nothing_of_a_savedmodels_graph_is_read(tmp_path: Path) -> None:
    shutil.copytree(SMALL, tmp_path / "small")
    (tmp_path / "small" / "saved_model.pb").write_bytes(b"would crash whoever parses it")
    assert load_model(tmp_path / "small").model.name == "small"


def test_a_subclassed_model_in_a_savedmodel_is_distinguished(tmp_path: Path) -> None:
    with old_keras() as tf_keras:

        class Own(tf_keras.Model):  # type: ignore[name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.dense = tf_keras.layers.Dense(3)

            def call(self, x: Any) -> Any:
                return self.dense(x)

        model = Own()
        model(np.ones((1, 4), np.float32))
        path = saved(model, tmp_path / "own", save_format="tf")
    with pytest.raises(CannotLoad, match="subclassed model"):
        load_model(path)


def test_a_sequential_that_was_never_called_is_refused_as_such(tmp_path: Path) -> None:
    with old_keras() as tf_keras:
        model = tf_keras.Sequential([tf_keras.layers.Dense(3)])
        model.build((None, 4))
        path = saved(model, tmp_path / "called.h5")
    assert load_model(path).model.output_shape == (None, 3)

    def forget(config: Any) -> None:
        config["config"]["layers"] = [layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense"]
        config["config"]["layers"][0]["config"].pop("batch_input_shape", None)
        config["config"].pop("build_input_shape", None)

    with pytest.raises(CannotLoad, match="input shape"):
        load_model(edited(path, tmp_path / "forgot.h5", forget))


def test_an_archive_without_weights_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bare.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
    with pytest.raises(CannotLoad, match=r"model\.weights\.h5"):
        load_model(tmp_path / "bare.keras")
