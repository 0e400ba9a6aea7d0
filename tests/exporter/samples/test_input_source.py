"""Inputs that nobody gave suit the model: in their sizes and values, or the message asks for real ones."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.samples.input_source import InputSource, source_for
from foldserve_exporter.samples.rows import choose_rows
from foldserve_exporter.steps.fold import fold_model
from foldserve_exporter.steps.load import open_model
from foldserve_exporter.steps.reference import make_reference
from tests.exporter.models import randomise

L, ops = keras.layers, keras.ops


class Only(keras.layers.Layer):
    """A layer whose code cannot be read and that takes `allowed` alone."""

    def __init__(self, allowed: int, **options: Any) -> None:
        super().__init__(**options)
        self.allowed = allowed

    def call(self, x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_equal(x, tf.cast(self.allowed, x.dtype))]):
            return tf.cast(x, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "allowed": self.allowed}


def source(model: Any) -> InputSource:
    graph = trace(model)
    named = NamedModel.of(rebuild(graph), graph)
    return source_for(graph, named.model, named.signature())


def test_integers_that_nothing_looks_up_are_0_and_1() -> None:
    flags, scale = keras.Input((3,), dtype="int32", name="flags"), keras.Input((2,), name="scale")
    model = keras.Model([flags, scale], L.Concatenate()([ops.cast(flags, "float32"), scale]))
    drawn = source(model).draw(64, 0)
    assert set(drawn["flags"].ravel()) == {0, 1}
    assert drawn["scale"].std() > 0.5


def test_integers_that_are_normalized_have_the_statistics_that_the_layer_expects() -> None:
    age = keras.Input((1,), dtype="int32", name="age")
    model = keras.Model(age, L.Dense(2)(L.Normalization(mean=41.0, variance=90.0)(age)))
    drawn = source(model).draw(500, 0)["age"]
    assert abs(drawn.mean() - 41) < 3
    assert 7 < drawn.std() < 13


def test_floats_that_are_looked_up_are_whole_in_every_row_that_is_made_of_them() -> None:
    """A model without an Input layer takes tokens as float32, as in Keras 2."""
    model = keras.Sequential([L.Embedding(20, 4), L.GlobalAveragePooling1D(), L.BatchNormalization(), L.Dense(3)])
    model(np.ones((2, 7), np.int32))
    found = source(randomise(model))
    (name,) = found.whole
    rows = choose_rows(found.draw(8, 0), 32, 0, whole=found.whole).inputs[name]
    assert rows.dtype == np.float32
    assert (rows == np.round(rows)).all()
    assert (rows.min(), rows.max()) == (0, 19)
    given = {name: np.full((40, 7), 19.0, np.float32)}
    assert (choose_rows(given, 32, 0, whole=found.whole).inputs[name] == 19).all()
    options = ExportOptions(Path(), "model", samples=given)
    reference = make_reference(fold_model(open_model(model, options)), options).reference
    assert np.isfinite(next(iter(reference.outputs.values()))).all()


def test_numbers_beside_codes_in_one_input_stay_numbers() -> None:
    mixed = keras.Input((3,), name="mixed")
    code = L.Flatten()(L.Embedding(5, 2)(ops.cast(mixed[:, :1], "int32")))
    found = source(randomise(keras.Model(mixed, L.Dense(2)(L.Concatenate()([code, mixed[:, 1:]])))))
    rows = choose_rows(found.draw(40, 0), 32, 0, whole=found.whole).inputs["mixed"]
    assert set(rows[:, 0]) == set(range(5))
    assert np.abs(rows[:, 1:]).max() > 10  # outliers
    assert (rows[:, 1:] != np.round(rows[:, 1:])).all()


def test_a_model_that_cannot_be_computed_on_what_is_drawn_asks_for_samples() -> None:
    codes = keras.Input((2,), dtype="int32", name="codes")
    model = keras.Model(codes, L.Dense(2)(Only(7, name="only")(codes)))
    options = ExportOptions(Path(), "model")
    with pytest.raises(Refused, match=r"the drawn samples do not suit the model: layer 'only'.*--samples"):
        make_reference(fold_model(open_model(model, options)), options)
    for value, fails in ((7, False), (8, True)):
        options = ExportOptions(Path(), "model", samples={"codes": np.full((4, 2), value)})
        folded = fold_model(open_model(model, options))
        if fails:
            with pytest.raises(Refused, match=r"the samples do not suit the model: layer 'only'"):
                make_reference(folded, options)
        else:
            assert make_reference(folded, options).rows.golden


def test_diagnosis_asks_for_samples_too() -> None:
    from foldserve_exporter import diagnose

    codes = keras.Input((2,), dtype="int32", name="codes")
    model = keras.Model(codes, L.BatchNormalization()(Only(7, name="only")(codes)))
    with pytest.raises(Refused, match=r"the drawn samples do not suit the model: layer 'only'.*--samples"):
        diagnose(model)
    with pytest.raises(Refused, match=r"the samples do not suit the model"):
        diagnose(model, {"codes": np.full((4, 2), 8)})
