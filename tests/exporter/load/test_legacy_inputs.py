"""Both readers of a Keras 2 file are compared on inputs that suit the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.load.given_samples import GivenSamples
from foldserve_exporter.load.legacy.agreement import require_agreement
from foldserve_exporter.load.legacy.comparison_inputs import comparison_inputs
from foldserve_exporter.load.legacy.convert import Converted, convert
from foldserve_exporter.load.legacy.custom import CustomObjects
from foldserve_exporter.load.loader import load_model

from .old_files import old_keras, randomise, saved

with old_keras() as tf_keras:
    L = tf_keras.layers


def splicing() -> Any:
    entry = L.Input((None, 4), name="sequence")
    x = L.Conv1D(4, 1)(entry)
    x = L.Add()([x, L.Conv1D(4, 5, dilation_rate=4, padding="same")(L.BatchNormalization(name="bn")(x))])
    return tf_keras.Model(entry, L.Conv1D(3, 1)(L.Cropping1D(50)(x)))


def categories() -> Any:
    entry = L.Input((1,), dtype="int32", name="category")
    return tf_keras.Model(entry, L.BatchNormalization(name="bn")(L.Dense(5)(L.CategoryEncoding(num_tokens=4)(entry))))


def tokens() -> Any:
    return tf_keras.Sequential([L.Input((None,)), L.Embedding(20, 6), L.Conv1D(5, 25), L.BatchNormalization(name="bn")])


def columns() -> Any:
    codes = [L.Input((1,), dtype="int64", name=name) for name in ("small", "large")]
    parts = [L.Flatten()(L.Embedding(size, 3)(entry)) for entry, size in zip(codes, (3, 70), strict=True)]
    return tf_keras.Model(codes, L.BatchNormalization(name="bn")(L.Concatenate()(parts)))


@pytest.mark.parametrize("build", [splicing, categories, tokens, columns])
def test_models_with_open_sizes_and_integers_are_read_and_spoiled_ones_are_not(
    build: Callable[[], Any], tmp_path: Path
) -> None:
    model = randomise(build())
    assert load_model(saved(model, tmp_path / "model.h5")).model.inputs
    converted = converted_model(model)
    beta = converted.model.get_layer("bn").beta
    beta.assign(beta.numpy() + 0.01)
    with pytest.raises(CannotLoad, match="'bn' answers"):
        require_agreement(model, converted, Path("model.h5"))


def converted_model(model: Any) -> Converted:
    return convert(model, Path("model.h5"), CustomObjects())


def test_the_samples_are_compared_on_and_their_sizes_are_drawn_in() -> None:
    model = randomise(splicing())
    given = np.random.default_rng(0).normal(size=(7, 143, 4)).astype(np.float32)
    for samples in ({"sequence": given}, given):
        (rows,) = comparison_inputs(model, converted_model(model).model, GivenSamples.read(samples))
        assert rows.shape == (4, 143, 4)
        np.testing.assert_array_equal(rows[:2], given[:2])
        assert not any(np.array_equal(row, other) for row in rows[2:] for other in given)
    raw = GivenSamples.read(given.astype(np.uint8), is_raw=True)
    (rows,) = comparison_inputs(model, converted_model(model).model, raw)
    assert rows.shape == (4, 143, 4)
    assert not np.array_equal(rows[0], given[0].astype(np.uint8))


def test_whole_numbers_beside_the_samples_are_theirs() -> None:
    model = randomise(columns())
    for names, given in ({}, pair(2, 66)), ({"other": "large"}, {"small": [[2]], "other": [[66]]}):
        samples = GivenSamples.read({name: np.array(value) for name, value in given.items()}).renamed(names)
        small, large = comparison_inputs(model, converted_model(model).model, samples)
        assert (small.tolist(), large.tolist()) == ([[2]] * 4, [[66]] * 4)


def pair(small: int, large: int) -> dict[str, Any]:
    return {"small": np.array([[small]]), "large": np.array([[large]])}


def test_samples_that_do_not_suit_the_model_are_refused() -> None:
    model = randomise(columns())
    with pytest.raises(Refused, match="the samples do not suit the model: layer 'embedding"):
        require_agreement(model, converted_model(model), Path("model.h5"), GivenSamples.read(pair(2, 70)))
