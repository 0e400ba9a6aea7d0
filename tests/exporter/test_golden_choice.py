"""Golden samples are chosen for what they notice: a quarter of them are the most sensitive of those given."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_exporter import export_model
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.samples.rows import RowRanking, choose_rows
from foldserve_exporter.verify.perturbation import Perturbation
from foldserve_exporter.verify.row_sensitivity import affordable_rows, row_sensitivity

from .models import randomise

SAMPLES = {"x": np.arange(300, dtype=np.float32).reshape(300, 1)}


def by_value(most: int) -> RowRanking:
    return RowRanking(lambda rows: rows["x"].ravel(), most)


def certain() -> Any:
    """A classifier that is certain of nearly everything, as trained ones are."""
    image = keras.Input((6, 5, 2), name="image")
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(8, 3, name="conv")(image)))
    outputs = keras.layers.Dense(4, activation="softmax", name="classes")(keras.layers.Flatten()(x))
    model = randomise(keras.Model(image, outputs), 3)
    model.layers[-1].kernel.assign(np.array(model.layers[-1].kernel) * 6)
    return model


def images(rows: int = 300) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(rows, 6, 5, 2)).astype(np.float32)


def test_a_quarter_are_the_most_sensitive_of_four_times_as_many_and_come_first() -> None:
    rows = choose_rows(SAMPLES, 8, seed=1, ranking=by_value(1000))
    golden = rows.golden_inputs["x"].ravel()[:8]
    considered = np.sort(np.random.default_rng(1).permutation(300)[:32])
    assert golden[:2].tolist() == considered[::-1][:2].tolist()
    assert len(set(rows.judged_inputs["x"].ravel()[np.r_[:8, 10 : rows.judged]])) == rows.judged - rows.stretched
    assert (rows.golden, rows.chosen) == (10, 2)
    assert rows.are_samples(golden=True).tolist() == [False] * 2 + [True] * 6 + [False] * 2 + [True] * 26


def test_the_ranking_is_asked_for_no_more_rows_than_are_affordable() -> None:
    asked: list[int] = []

    def sensitivity(rows: Any) -> np.ndarray:
        asked.append(len(rows["x"]))
        return np.zeros(len(rows["x"]))

    choose_rows(SAMPLES, 8, seed=1, ranking=RowRanking(sensitivity, 20))
    choose_rows(SAMPLES, 8, seed=1, ranking=RowRanking(sensitivity, 8))  # nothing to choose
    choose_rows({"x": SAMPLES["x"][:8]}, 8, seed=1, ranking=RowRanking(sensitivity, 1000))
    choose_rows(SAMPLES, 8, seed=1, public={"x": SAMPLES["x"][:8]}, ranking=RowRanking(sensitivity, 1000))
    assert asked == [20]


def test_a_large_model_is_asked_for_fewer_rows() -> None:
    graph = trace(certain())
    rows = {"image": images(4)}
    few = affordable_rows(graph, {"image": np.zeros((1, 600, 500, 2), np.float32)})
    assert affordable_rows(graph, rows) > 10_000
    assert few == affordable_rows(graph, rows)  # sizes that the model fixes count, whatever is given
    open_sizes = keras.Input((None, None, 2), name="image")
    large = trace(keras.Model(open_sizes, keras.layers.Conv2D(64, 3)(open_sizes)))
    assert affordable_rows(large, {"image": np.zeros((1, 1024, 1024, 2), np.float32)}) < 40


def named(model: Any) -> NamedModel:
    graph = trace(model)
    return NamedModel.of(rebuild(graph), graph)


def test_rows_that_a_wrong_weight_moves_most_are_the_most_sensitive() -> None:
    model = named(certain())
    rows = {"image": images(64)}
    sensitivity = row_sensitivity(model, rows, seed=0)
    kernel, before = model.model.get_layer("conv").kernel, model.run(rows)["classes"]
    kernel.assign(np.array(kernel) * np.where(np.arange(8) == 3, 1.01, 1))
    moved = np.abs(model.run(rows)["classes"] - before).max(axis=1)
    order = np.argsort(-sensitivity)
    assert np.median(moved[order[:16]]) > 10 * np.median(moved[order[-32:]])


def test_the_weights_come_back_bit_by_bit_also_after_an_error() -> None:
    model = named(certain())
    variables = model.model.trainable_variables
    before = [np.array(variable).tobytes() for variable in variables]
    perturbation = Perturbation(variables, 0)
    with pytest.raises(RuntimeError), perturbation.applied():
        assert [np.array(variable).tobytes() for variable in variables] != before
        raise RuntimeError
    assert [np.array(variable).tobytes() for variable in variables] == before


def test_the_bundle_holds_sensitive_samples_and_the_same_ones_every_time(tmp_path: Path) -> None:
    """Public golden rows take nothing from the samples, whatever these would notice."""
    samples = images()
    first, again, private = (
        export_model(certain(), tmp_path, name, samples=samples, golden=4, golden_synthetic=name == "private").path
        for name in ("a", "b", "private")
    )
    golden = [Bundle.open(path).golden().inputs["image"] for path in (first, again, private)]
    np.testing.assert_array_equal(golden[0], golden[1])
    given = {row.tobytes() for row in samples}
    assert all(row.tobytes() in given for row in golden[0][:4])
    assert not any(row.tobytes() in given for row in golden[2])
    drawn = choose_rows({"image": samples}, 4, 0).golden_inputs["image"][:4]
    model = named(certain())
    chosen, by_chance = (row_sensitivity(model, {"image": rows}, 0) for rows in (golden[0][:1], drawn))
    assert chosen[0] > by_chance.max()
    assert json.loads((first / "report.json").read_text())["golden"]["synthetic"] is False
