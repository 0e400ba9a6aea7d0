"""The first page of an export's report: what `diagnose-model` finds, from the few rows of an export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

from foldserve_contract.manifest import Source
from foldserve_exporter import diagnose, export_model
from foldserve_exporter.diagnosis.examined import Examination
from foldserve_exporter.diagnosis.finding import Kind, Severity
from foldserve_exporter.diagnosis.joint import join
from foldserve_exporter.graph import trace
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.predictions.running import copied
from foldserve_exporter.report.terminal import print_report
from foldserve_exporter.steps.diagnose import diagnose_export
from foldserve_exporter.steps.fold import fold_model
from foldserve_exporter.steps.reference import make_reference

from ..digits import healthy, held_back
from ..models import randomise, snapshot
from . import clinic

TOLD = (
    clinic.stale,
    clinic.untouched,
    clinic.lagging,
    clinic.baked,
    clinic.dead,
    clinic.exploding,
    clinic.tiny_variance,
    clinic.other_domain,
    clinic.phases_apart,
    clinic.frozen_but_trained,
)


def examined(model: Any, samples: Any, **choices: Any) -> Examination:
    loaded = Loaded(model, Source("model", ""))
    folded = fold_model(loaded)
    expected = make_reference(folded, ExportOptions(Path(), "model", samples=samples, **choices))
    return diagnose_export(loaded, folded, expected).examination


def test_a_healthy_model_has_a_clean_first_page() -> None:
    found = examined(healthy(), held_back()[0])
    assert [each for each in found.findings if each.severity is not Severity.NOTE] == []
    assert found.samples == 32
    assert [drift.layer for drift in found.drifts] == ["backbone/bn_1", "backbone/bn_2", "backbone/bn_3"]


@pytest.mark.parametrize("disease", TOLD, ids=lambda disease: disease.__name__)
def test_a_disease_is_named_with_its_layer(disease: Callable[[Path], clinic.Patient], tmp_path: Path) -> None:
    patient = disease(tmp_path)
    before = snapshot(patient.model)
    found = examined(patient.model, patient.samples)
    assert snapshot(patient.model) == before
    assert (patient.kind, patient.layer) in [(each.kind, each.layer) for each in found.findings]
    assert all(each.remedy and each.what for each in found.findings)


def test_drift_is_told_where_it_is_and_as_far_as_the_whole_diagnosis_tells_it(tmp_path: Path) -> None:
    patient = clinic.stale(tmp_path)
    few = patient.samples[:32]
    quick, whole = examined(patient.model, few), diagnose(patient.model, few)
    assert [drift.layer for drift in quick.drifts] == [drift.layer for drift in whole.drifts]
    for mine, theirs in zip(quick.drifts, whole.drifts, strict=True):
        assert mine.drift == pytest.approx(theirs.drift, rel=0.02, abs=0.01)
    [stale] = [each for each in quick.findings if each.kind is Kind.STALE]
    assert stale.effect is not None
    assert stale.effect.size > 0.1


def test_of_many_drifting_layers_the_worst_are_measured_and_the_others_counted() -> None:
    image = x = keras.Input((6, 5, 2), name="image")
    for index in range(8):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv_{index}")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(name=f"bn_{index}")(x))
    model = randomise(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x)), 4)
    found = examined(model, np.random.default_rng(1).normal(3, 5, (40, 6, 5, 2)).astype(np.float32))
    drifting = [drift for drift in found.drifts if drift.drift > 0.5]
    assert len(drifting) > 3
    assert sum(drift.effect is not None for drift in drifting) == 3
    [others] = [each for each in found.findings if each.what.startswith(f"{len(drifting) - 3} more layers")]
    assert others.effect is not None


def test_without_samples_only_what_needs_none_is_told(tmp_path: Path) -> None:
    patient = clinic.untouched(tmp_path)
    found = examined(patient.model, None)
    assert (found.samples, found.drifts) == (0, ())
    assert [(each.kind, each.layer) for each in found.findings] == [(Kind.UNTOUCHED, "backbone/bn_2")]


def test_rows_that_are_no_samples_are_not_examined() -> None:
    """Stretched rows, mixtures and synthetic golden ones would look like another domain."""
    samples = held_back()[0]
    assert examined(healthy(), samples[:20]).samples == 20
    private = examined(healthy(), samples, golden_synthetic=True)
    assert private.samples == 32
    assert [each for each in private.findings if each.severity is not Severity.NOTE] == []


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_a_layer_that_sees_no_numbers_has_no_drift(spoil: float) -> None:
    images = held_back()[0][:8].copy()
    images[0, 0, 0, 0] = spoil
    graph = trace(healthy())
    assert join(graph, copied(graph), {"image": images}).layers == []


def test_an_exports_page_and_terminal_begin_with_what_is_wrong(tmp_path: Path) -> None:
    patient = clinic.stale(tmp_path)
    exported = export_model(patient.model, tmp_path, "stale", samples=patient.samples, golden=4)
    page = (exported.path / "report.html").read_text()
    at = [page.index(text) for text in ("<h2>Diagnosis", "stale statistics in backbone/bn_2", "<svg", "<h2>Folding")]
    assert at == sorted(at)
    assert "src=" not in page
    console = Console(record=True, width=200)
    print_report(exported.report, console)
    assert "stale statistics in backbone/bn_2" in console.export_text().split("BatchNormalization calls folded")[0]
