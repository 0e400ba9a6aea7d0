"""Custom functions and classes: those that a file may name, and those of a model in memory."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter import export_model, fold
from foldserve_exporter.errors import Refused
from foldserve_exporter.load.loader import load_model
from tests.exporter.models import randomise

L = keras.layers
PARTS = """
import keras

def bent(x):
    return keras.ops.softplus(x) + 0.5

class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Bends(keras.layers.Layer):
    def __init__(self, how, **others):
        super().__init__(**others)
        self.how = keras.saving.deserialize_keras_object(how) if isinstance(how, dict) else how

    def call(self, x):
        return self.how(x)

    def get_config(self):
        return {**super().get_config(), "how": keras.saving.serialize_keras_object(self.how)}
"""


def doubled_tanh(x: Any) -> Any:
    return 2 * keras.ops.tanh(x)


class Halved(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x / 2


class Score(keras.metrics.Metric):
    def update_state(self, *_: Any, **__: Any) -> None: ...

    def result(self) -> float:
        return 1.0


def of(part: Any, behind: bool = True) -> Any:
    inputs = keras.Input((6,), name="x")
    norm, dense = L.BatchNormalization(name="norm"), L.Dense(5, name="first")
    return randomise(keras.Model(inputs, part(norm(dense(inputs))) if behind else norm(part(dense(inputs)))))


def saved(model: Any, folder: Path) -> Path:
    model.save(folder / "m.keras")
    return folder / "m.keras"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "own_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)
    return importlib.import_module("own_parts")


IN_MEMORY: dict[str, Callable[[], Any]] = {
    "a function": lambda: L.Dense(3, activation=doubled_tanh),
    "a lambda": lambda: L.Dense(3, activation=lambda x: keras.ops.softplus(x) + 1e-3),
    "an activation": lambda: L.Activation(doubled_tanh),
    "a class": Halved,
    "a Lambda": lambda: L.Lambda(lambda x: x * 3),
}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_a_model_in_memory_is_exported_with_code_that_no_other_process_has(name: str, tmp_path: Path) -> None:
    model = of(IN_MEMORY[name]())
    x = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_allclose(fold(model).model(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    if name == "a class":
        exported = export_model(model, tmp_path, "own")
        assert not any("Keras" in candidate.name for candidate in exported.report.verification.candidates)
        with pytest.raises(Refused, match=r"--keep-keras: .*Halved, a class.*--custom-objects"):
            export_model(model, tmp_path, "own", keep_keras=True)


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_a_custom_function_with_the_name_of_a_keras_function_is_not_taken_for_it(name: str) -> None:
    own = lambda x: keras.ops.tanh(x) - 1  # noqa: E731
    own.__name__ = name
    with keras.saving.custom_object_scope({name: own}):
        model = of(L.Dense(5, activation=own), behind=False)
        x = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
        np.testing.assert_allclose(fold(model).model(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_functions_and_classes_of_a_named_module_are_resolved(parts: Any, tmp_path: Path) -> None:
    for part, message in (
        (L.Dense(3, activation=parts.bent, name="last"), "uses bent, a function"),
        (parts.Doubled(name="last"), "is a Doubled, a class"),
    ):
        path = saved(of(part), tmp_path)
        with pytest.raises(Refused, match=rf"layer 'last' {message} .*--custom-objects MODULE"):
            load_model(path)
        assert load_model(path, custom_objects=("own_parts",)).model.count_params() > 0


@pytest.mark.filterwarnings("ignore:.*`lambda`")
def test_a_lambda_that_keras_cannot_read_again_is_refused_in_words(tmp_path: Path) -> None:
    path = saved(of(L.Dense(3, activation=lambda x: x * 2, name="doubling")), tmp_path)
    for trust_code in (False, True):
        with pytest.raises(Refused, match=r"'doubling' holds a lambda function .*give it a function with a name"):
            load_model(path, trust_code=trust_code)


@pytest.mark.filterwarnings("ignore:.*`lambda`")
def test_how_a_model_was_compiled_takes_no_part(tmp_path: Path) -> None:
    model = of(L.Dense(3))
    model.compile(loss=lambda y, z: keras.ops.mean(y - z), metrics=[Score(), doubled_tanh])
    assert load_model(saved(model, tmp_path)).model.count_params() == model.count_params()


def test_keras_own_functions_are_its_own_wherever_they_are_written_down(parts: Any, tmp_path: Path) -> None:
    path = saved(of(parts.Bends(keras.activations.gelu, name="last")), tmp_path)
    loaded = load_model(path, custom_objects=("own_parts",)).model
    x = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    expected = keras.saving.load_model(path, custom_objects={"Bends": parts.Bends}).predict(x, verbose=0)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-5)
