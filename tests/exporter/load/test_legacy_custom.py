"""Classes and functions of one's own in Keras 2 files: found by the names that the files have for them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_keras.src.saving import serialization_lib

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.graph import trace
from foldserve_exporter.load.loader import load_model

from .old_files import edited, old_keras, randomise, saved

with old_keras() as tf_keras:
    L = tf_keras.layers

MODULES = {
    "own_tf": """
import tf_keras

class FixedDropout(tf_keras.layers.Dropout):
    def _get_noise_shape(self, inputs):
        return super()._get_noise_shape(inputs)

class Doubling(tf_keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0

class Frozen(tf_keras.layers.BatchNormalization):
    def call(self, *args, **kwargs):
        return super().call(*args, **{**kwargs, "training": False})
""",
    "own_k3": """
import keras

class FixedDropout(keras.layers.Dropout):
    pass

class Twice(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0

class Named(keras.layers.BatchNormalization):
    def call(self, inputs, **kwargs):
        return super().call(inputs, training=False)

class Frozen(keras.layers.BatchNormalization):
    def call(self, *args, **kwargs):
        return super().call(*args, training=False)
""",
    "own_registered": """
import keras
import tf_keras

@tf_keras.saving.register_keras_serializable(package="shop", name="Doubling")
class Old(tf_keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0

@keras.saving.register_keras_serializable(package="shop", name="Doubling")
class New(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0
""",
    "own_functions": """
import tensorflow as tf
from tf_keras.src.saving import serialization_lib

def shrink(x):
    return x * tf.nn.sigmoid(1.7 * x)
""",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)


def own(name: str) -> Any:
    return getattr(__import__(name.partition(":")[0]), name.partition(":")[2])


def model_with(layer: Any, **convolution: Any) -> Any:
    entry = L.Input((6, 5, 3))
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, (3, 2), name="conv", **convolution)(entry))
    return randomise(tf_keras.Model(entry, L.Flatten()(layer(x))))


def assert_answers(path: Path, old: Any, *custom: str, trust_code: bool = False) -> Any:
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 3)).astype("f")
    model = load_model(path, custom_objects=custom, trust_code=trust_code).model
    np.testing.assert_allclose(model.predict(x, verbose=0), old.predict(x, verbose=0), atol=2e-6)
    return model


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model"])
@pytest.mark.parametrize(
    "custom",
    [
        ("own_tf", "own_k3"),
        ("own_tf",),  # the layer that it computes as stands for it
        ("own_k3",),
        ("FixedDropout=own_k3:FixedDropout",),
        ("FixedDropout=own_tf:FixedDropout", "FixedDropout=own_k3:FixedDropout"),
    ],
)
def test_a_bare_name_is_found_in_the_modules(tmp_path: Path, name: str, custom: tuple[str, ...]) -> None:
    old = model_with(own("own_tf:FixedDropout")(0.4, name="drop"))
    path = saved(old, tmp_path / name)
    with pytest.raises(Refused, match=r"'drop' is of the class FixedDropout.*--custom-objects"):
        load_model(path)
    assert_answers(path, old, *custom)


def test_a_class_that_computes_needs_its_counterpart(tmp_path: Path) -> None:
    old = model_with(own("own_tf:Doubling")(name="twice"))
    path = saved(old, tmp_path / "model.h5")
    with pytest.raises(
        Refused, match=r"'twice'.*own_tf\.Doubling alone is given.*Keras 3.*--custom-objects 'Doubling="
    ):
        load_model(path, custom_objects=("own_tf",))
    assert_answers(path, old, "own_tf", "Doubling=own_k3:Twice")


@pytest.mark.parametrize("spelling", ["Doubling", "shop>Doubling", "Custom>Doubling"])
def test_a_registered_name_is_found_with_and_without_its_package(tmp_path: Path, spelling: str) -> None:
    old = model_with(own("own_registered:Old")(name="twice"))
    path = saved(old, tmp_path / "model.h5")

    def rename(config: Any) -> None:
        entry = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "twice")
        entry["class_name"] = spelling

    assert_answers(edited(path, tmp_path / "renamed.h5", rename), old, "own_registered")


def test_a_call_without_a_named_input_is_refused_by_its_signature(tmp_path: Path) -> None:
    old = model_with(own("own_tf:Frozen")(name="frozen"))
    path = saved(old, tmp_path / "model.h5")
    with pytest.raises(Refused, match=r"'frozen': own_k3\.Frozen has the signature call\(self, \*args, \*\*kwargs\)"):
        load_model(path, custom_objects=("own_tf", "own_k3"))
    model = assert_answers(path, old, "own_tf", "Frozen=own_k3:Named")
    assert {node.op.name for node in trace(model).batch_norms} == {"bn", "frozen"}


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model"])
def test_a_lambda_runs_where_it_is_trusted_in_a_process_of_its_own(tmp_path: Path, name: str) -> None:
    old = model_with(L.Lambda(lambda x: x * 2.0 + 1.0, name="twice"))
    path = saved(old, tmp_path / name)
    before = serialization_lib.in_safe_mode()
    with pytest.raises(Refused, match=r"'twice' is a Lambda.*--trust-code"):
        load_model(path)
    with serialization_lib.SafeModeScope(True):  # as tf-keras sets it for good when a file is loaded
        assert_answers(path, old, trust_code=True)
    assert serialization_lib.in_safe_mode() == before


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_an_activation_of_ones_own_is_named(tmp_path: Path, name: str) -> None:
    own_activation = own("own_functions:shrink")
    old = model_with(L.Activation("linear"), activation=own_activation)
    path = saved(old, tmp_path / name)
    with pytest.raises(Refused, match=r"'conv' has the activation 'shrink'.*--custom-objects 'shrink="):
        load_model(path)
    assert_answers(path, old, "own_functions")
    assert_answers(path, old, "shrink=own_functions:shrink")


def test_an_activation_that_is_a_lambda_goes_by_that_word(tmp_path: Path) -> None:
    old = model_with(L.Activation("linear"), activation=lambda x: x * tf.nn.sigmoid(1.7 * x))
    path = saved(old, tmp_path / "model.h5")
    with pytest.raises(Refused, match=r"'conv' has a lambda function.*'<lambda>=package.module:function'"):
        load_model(path)
    assert_answers(path, old, "<lambda>=own_functions:shrink")
    assert_answers(path, old, trust_code=True)

    def as_a_word(config: Any) -> None:
        entry = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "conv")
        entry["config"]["activation"] = "<lambda>"

    word = edited(path, tmp_path / "word.h5", as_a_word)
    with pytest.raises(Refused, match=r"'conv' has the activation '<lambda>'"):
        load_model(word)
    assert_answers(word, old, "<lambda>=own_functions:shrink")


def test_what_is_given_has_to_be_there(tmp_path: Path) -> None:
    path = saved(model_with(L.Activation("relu")), tmp_path / "model.h5")
    for entry, message in {
        "X=own_functions:nothing": "has no class or function 'nothing'",
        "X=own_nowhere:f": "own_nowhere",
        "X=own_functions": r"give a MODULE, or NAME=package\.module:object",
        "own_functions:shrink": r"give a MODULE, or NAME=package\.module:object",
    }.items():
        with pytest.raises(CannotLoad, match=message):
            load_model(path, custom_objects=(entry,))
