"""The page of a diagnosis explains finding finding, and shows only what was measured."""

import keras
import numpy as np
import pytest

from foldserve_exporter import diagnose, recalibrate
from foldserve_exporter.diagnosis.explanations import EXPLANATIONS
from foldserve_exporter.diagnosis.finding import FindingKind
from foldserve_exporter.diagnosis.html import render_diagnosis

from ..models import randomise

layers = keras.layers


@pytest.fixture(scope="module")
def page() -> str:
    """One stale layer of three."""
    x = inputs = keras.Input((5, 4, 3), name="x")
    for name in ("bn_0", "bn_1", "bn>2"):
        x = layers.Conv2D(6, 2, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=name)(x))
    outputs = layers.Dense(4, name="head")(layers.GlobalAveragePooling2D()(x))
    model = randomise(keras.Model(inputs, outputs, name="m"), 2)
    samples = np.random.default_rng(0).normal(size=(64, 5, 4, 3)).astype(np.float32)
    recalibrate(model, samples).apply_to(model)
    layer = model.get_layer("bn_1")
    layer.moving_mean.assign(np.array(layer.moving_mean) + 3)
    diagnosis = diagnose(model, samples)
    assert [finding.layer for finding in diagnosis.findings if finding.kind is FindingKind.STALE] == ["bn_1"]
    return render_diagnosis(diagnosis)


def test_every_kind_of_finding_has_an_explanation() -> None:
    assert EXPLANATIONS.keys() == set(FindingKind)


def test_a_finding_has_an_explanation_and_commands_that_can_be_copied(page: str) -> None:
    assert EXPLANATIONS[FindingKind.STALE] in page
    assert "<code>diagnose-model --samples FILE --fix OUT.keras</code>" in page
    assert "<code>export-model --recalibrate FILE</code>." in page


def test_the_predictions_in_both_phases_are_in_one_table(page: str) -> None:
    rows = page.split("<h2>Predictions</h2>")[1].split("</table>")[0].split("<tr>")[2:]
    assert [row.split("</td>")[1].removeprefix("<td>") for row in rows] == ["phase 0", "phase 1", "recalibrated"]


def test_no_bar_is_drawn_for_an_effect_that_was_not_measured(page: str) -> None:
    bars = page.split("<svg")[1].split("</svg>")[0].count("<rect")
    assert bars == 3 * 3 + 1


def test_names_from_the_model_are_escaped_and_nothing_is_fetched(page: str) -> None:
    assert "bn>2" not in page
    assert "bn&gt;2" in page
    assert not [word for word in ("http", "src=", "@import", "url(") if word in page]
