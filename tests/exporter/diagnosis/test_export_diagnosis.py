"""The diagnosis in an export's report: the findings of `diagnose-model`, from the few rows of an export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

from foldserve_contract.manifest import Source
from foldserve_exporter import diagnose, export_model
from foldserve_exporter.diagnosis.batch_statistics_pass import batch_statistics_pass
from foldserve_exporter.diagnosis.finding import FindingKind, Severity
from foldserve_exporter.diagnosis.result import Diagnosis
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

REPORTED = (
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


def diagnosed(model: Any, samples: Any, **choices: Any) -> Diagnosis:
    loaded = Loaded(model, Source("model", ""))
    folded = fold_model(loaded)
    expected = make_reference(folded, ExportOptions(Path(), "model", samples=samples, **choices))
    return diagnose_export(loaded, folded, expected).diagnosis


def test_a_healthy_model_has_no_errors_or_warnings() -> None:
    diagnosis = diagnosed(healthy(), held_back()[0])
    assert [finding for finding in diagnosis.findings if finding.severity is not Severity.NOTE] == []
    assert diagnosis.samples == 32  # without those that were chosen for what they notice
    assert [drift.layer for drift in diagnosis.drifts] == ["backbone/bn_1", "backbone/bn_2", "backbone/bn_3"]


@pytest.mark.parametrize("make", REPORTED, ids=lambda make: make.__name__)
def test_a_fault_is_reported_with_its_layer(make: Callable[[Path], clinic.Patient], tmp_path: Path) -> None:
    patient = make(tmp_path)
    before = snapshot(patient.model)
    diagnosis = diagnosed(patient.model, patient.samples)
    assert snapshot(patient.model) == before
    assert (patient.kind, patient.layer) in [(finding.kind, finding.layer) for finding in diagnosis.findings]
    assert all(finding.remedy and finding.what for finding in diagnosis.findings)


def test_drift_of_each_layer_is_that_of_the_full_diagnosis(tmp_path: Path) -> None:
    patient = clinic.stale(tmp_path)
    few = patient.samples[:32]
    quick, full = diagnosed(patient.model, few), diagnose(patient.model, few)
    assert [drift.layer for drift in quick.drifts] == [drift.layer for drift in full.drifts]
    for mine, theirs in zip(quick.drifts, full.drifts, strict=True):
        assert mine.drift == pytest.approx(theirs.drift, rel=0.02, abs=0.01)
    [stale] = [finding for finding in quick.findings if finding.kind is FindingKind.STALE]
    assert stale.effect is not None
    assert stale.effect.size > 0.1


def test_of_many_drifting_layers_the_worst_are_measured_and_the_others_counted() -> None:
    image = x = keras.Input((6, 5, 2), name="image")
    for index in range(8):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv_{index}")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(name=f"bn_{index}")(x))
    model = randomise(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x)), 4)
    diagnosis = diagnosed(model, np.random.default_rng(1).normal(3, 5, (40, 6, 5, 2)).astype(np.float32))
    drifting = [drift for drift in diagnosis.drifts if drift.drift > 0.5]
    assert len(drifting) > 3
    assert sum(drift.effect is not None for drift in drifting) == 3
    [others] = [
        finding for finding in diagnosis.findings if finding.what.startswith(f"{len(drifting) - 3} more layers")
    ]
    assert others.effect is not None


def test_without_samples_only_the_weights_are_checked(tmp_path: Path) -> None:
    patient = clinic.untouched(tmp_path)
    diagnosis = diagnosed(patient.model, None)
    assert (diagnosis.samples, diagnosis.drifts) == (0, ())
    assert [(finding.kind, finding.layer) for finding in diagnosis.findings] == [
        (FindingKind.UNTOUCHED, "backbone/bn_2")
    ]


def test_rows_that_are_not_samples_are_left_out() -> None:
    """Stretched rows, mixtures and synthetic golden ones would look like another domain."""
    samples = held_back()[0]
    assert diagnosed(healthy(), samples[:20]).samples == 20
    private = diagnosed(healthy(), samples, golden_synthetic=True)
    assert private.samples == 32
    assert [finding for finding in private.findings if finding.severity is not Severity.NOTE] == []


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_a_layer_with_values_that_are_not_finite_has_no_drift(spoil: float) -> None:
    images = held_back()[0][:8].copy()
    images[0, 0, 0, 0] = spoil
    graph = trace(healthy())
    assert batch_statistics_pass(graph, copied(graph), {"image": images}).layers == []


def test_the_page_and_terminal_of_an_export_begin_with_its_faults(tmp_path: Path) -> None:
    patient = clinic.stale(tmp_path)
    exported = export_model(patient.model, tmp_path, "stale", samples=patient.samples, golden=4)
    page = (exported.path / "report.html").read_text()
    places = ("The gravest: stale statistics in backbone/bn_2", "<h2>Diagnosis", "<svg", "<h2>Folding")
    at = [page.index(text) for text in places]
    assert at == sorted(at)
    assert "src=" not in page
    console = Console(record=True, width=200)
    print_report(exported.report, console)
    assert "stale statistics in backbone/bn_2" in console.export_text().split("BatchNormalization calls folded")[0]
