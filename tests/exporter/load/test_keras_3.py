"""Only model files are loaded, and nothing in them is run."""

import importlib
import zipfile
from pathlib import Path

import keras
import pytest

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.load.loader import load_model


@pytest.fixture
def small() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")], name="small")


def test_a_keras_file_is_loaded_and_identified_by_its_digest(tmp_path: Path, small: keras.Model) -> None:
    path = tmp_path / "small.keras"
    small.save(path)
    loaded = load_model(path)
    assert loaded.model.name == "small"
    assert loaded.source.file == "small.keras"
    assert len(loaded.source.sha256) == 64


def test_a_file_that_is_not_a_model_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("not a model")
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("readme.txt", "a zip all the same")
    with zipfile.ZipFile(tmp_path / "list.keras", "w") as archive:
        archive.writestr("config.json", "[1, 2]")
    (tmp_path / "old.h5").write_bytes(b"\x89HDF")
    for name in ("text.keras", "zip.keras", "list.keras", "old.h5", "absent.keras"):
        with pytest.raises(CannotLoad, match=name):
            load_model(tmp_path / name)
    with pytest.raises(CannotLoad):
        load_model(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path, small: keras.Model) -> None:
    path = tmp_path / "small.keras"
    small.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CannotLoad):
        load_model(path)


def test_a_lambda_is_refused_by_name_and_runs_only_when_trusted(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2, name="twice", output_shape=(4,))])
    path = tmp_path / "lambda.keras"
    model.save(path)
    with pytest.raises(Refused, match=r"'twice'.*--trust-code"):
        load_model(path)
    assert load_model(path, trust_code=True).model.layers[-1].name == "twice"


def test_a_custom_class_is_refused_until_its_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
import keras
@keras.saving.register_keras_serializable("mine")
class Shift(keras.layers.Layer):
    def call(self, x):
        return x + 1
"""
    (tmp_path / "my_layers.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    my_layers = importlib.import_module("my_layers")

    model = keras.Sequential([keras.Input((4,)), my_layers.Shift(name="shift")])
    path = tmp_path / "custom.keras"
    model.save(path)
    with pytest.raises(Refused, match=r"'shift'.*mine>Shift.*--custom-objects"):
        load_model(path)
    assert load_model(path, custom_objects=("my_layers",)).model.layers[-1].name == "shift"
    with pytest.raises(CannotLoad, match="no_such_module"):
        load_model(path, custom_objects=("no_such_module",))
