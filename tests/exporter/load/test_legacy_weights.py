"""Weights of nested models go where their names say, whatever the order in the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from foldserve_exporter.errors import CannotLoad
from foldserve_exporter.load.loader import load_model

from .old_files import OWN, edited, old_keras, questions_and_answers

NESTED = OWN / "keras-2.1.6" / "nested.h5"


def freeze(config: Any) -> None:
    """Change the trainable flags after the weights were written: now the shapes agree in another order as well."""
    for layer in config["config"][0]["config"]["layers"]:
        if layer["class_name"] != "InputLayer":
            layer["config"]["trainable"] = layer["name"] not in ("conv_1", "bn_1")


def rename(path: Path, new: Callable[[str], str]) -> None:
    """Change the names of the weights in the file."""
    with h5py.File(path, "r+") as file:
        group = file["model_weights/backbone"]
        names = [name.decode() for name in group.attrs["weight_names"]]
        for name in names:
            group.move(name, f"moved/{new(name)}")
        for name in names:
            group.move(f"moved/{new(name)}", new(name))
        del group["moved"]
        group.attrs["weight_names"] = [new(name) for name in names]


def renumbered(name: str) -> str:
    """`conv_1/kernel:0` as TensorFlow 1 named it the second time in one session."""
    scope, _, weight = name.partition("/")
    return f"{scope}_7/{weight}"


def deviation(path: Path) -> float:
    x, (expected,) = questions_and_answers(NESTED)
    return float(np.abs(np.asarray(load_model(path).model(x, training=False)) - expected).max())


def test_flags_that_do_not_determine_the_order_mislead_other_readers_only(tmp_path: Path) -> None:
    path = edited(NESTED, tmp_path / "frozen.h5", freeze)
    x, (expected,) = questions_and_answers(NESTED)
    with old_keras() as tf_keras:
        misled = tf_keras.models.load_model(path, compile=False).predict(x, verbose=0)
    assert np.abs(misled - expected).max() > 0.01
    assert deviation(path) < 1e-6


def test_renumbered_names_are_followed_in_the_only_order_that_they_allow(tmp_path: Path) -> None:
    for edit in (lambda config: None, freeze):
        path = edited(NESTED, tmp_path / "renumbered.h5", edit)
        rename(path, renumbered)
        assert deviation(path) < 1e-6


def test_names_that_decide_nothing_are_refused(tmp_path: Path) -> None:
    path = edited(NESTED, tmp_path / "nameless.h5", lambda config: None)
    rename(path, lambda name: f"layer_{name}")
    with pytest.raises(CannotLoad, match=r"'backbone'.*do not tell which layer"):
        load_model(path)


def test_a_layer_without_weights_in_the_file_is_named(tmp_path: Path) -> None:
    path = edited(NESTED, tmp_path / "cut.h5", lambda config: None)
    with h5py.File(path, "r+") as file:
        file["model_weights/head"].attrs["weight_names"] = np.array([], dtype="S1")
    with pytest.raises(CannotLoad, match=r"not whole.*'head'"):
        load_model(path)


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    def widen(config: Any) -> None:
        config["config"][-1]["config"]["units"] = 6

    with pytest.raises(CannotLoad, match=r"'head'.*\(3, 6\).*\(3, 5\)"):
        load_model(edited(NESTED, tmp_path / "wide.h5", widen))
