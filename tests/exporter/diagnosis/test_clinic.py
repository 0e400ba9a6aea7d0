"""Every planted fault is found, by kind and layer; healthy models have none; no model is changed."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter import diagnose
from foldserve_exporter.diagnosis import diagnose as module
from foldserve_exporter.diagnosis.finding import FindingKind, Severity
from foldserve_exporter.predictions.scores import LabelsError

from ..digits import accuracy, backbone, digits, fit, healthy, held_back, with_head
from ..models import snapshot
from .clinic import CLINIC, Patient, bn

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
layers = keras.layers
NEEDS_NO_DATA = {
    FindingKind.UNTOUCHED,
    FindingKind.BAKED_PHASE,
    FindingKind.LIVE_RANDOMNESS,
    FindingKind.DEAD_GAIN,
    FindingKind.EXPLODING_GAIN,
    FindingKind.TINY_VARIANCE,
    FindingKind.MOVING_STATISTICS,
    FindingKind.NON_FINITE,
    FindingKind.NEIGHBOURS,
    FindingKind.RANDOM,
}


@pytest.mark.parametrize("admit", CLINIC, ids=lambda admit: admit.__name__)
def test_a_planted_fault_is_found_in_its_layer(admit: Callable[[Path], Patient], tmp_path: Path) -> None:
    patient = admit(tmp_path)
    before = snapshot(patient.model)
    diagnosis = diagnose(patient.model, patient.samples, labels=patient.labels)
    assert snapshot(patient.model) == before
    places = [(finding.kind, finding.layer) for finding in diagnosis.findings]
    assert (patient.kind, patient.layer) in places
    finding = diagnosis.findings[places.index((patient.kind, patient.layer))]
    assert finding.what
    assert finding.remedy
    if patient.kind is FindingKind.CONSTANT or patient.layer == "backbone/conv_2":  # no effect can be measured
        return
    assert finding.effect is not None
    if patient.kind is not FindingKind.DEAD_GAIN:  # a channel that is a constant may have no effect
        assert finding.effect.size > 0.05
    if patient.kind in NEEDS_NO_DATA:
        alone = diagnose(patient.model)
        assert (patient.kind, patient.layer) in [(other.kind, other.layer) for other in alone.findings]
        assert snapshot(patient.model) == before


def test_findings_are_ordered_by_severity_and_effect(tmp_path: Path) -> None:
    patient = CLINIC[0](tmp_path)
    findings = diagnose(patient.model, patient.samples, labels=patient.labels).findings
    ranks = [(finding.severity.rank, -finding.effect.size) for finding in findings if finding.effect]
    assert len(ranks) > 1
    assert ranks == sorted(ranks)


def test_only_the_faulty_layer_is_named(tmp_path: Path) -> None:
    """The layers behind it see other inputs than they were trained on, but their own statistics are right."""
    patient = CLINIC[0](tmp_path)
    diagnosis = diagnose(patient.model, patient.samples)
    assert {finding.layer for finding in diagnosis.findings if finding.layer} == {"backbone/bn_2"}
    assert [drift.layer for drift in diagnosis.drifts] == ["backbone/bn_1", "backbone/bn_2", "backbone/bn_3"]


def test_a_lagging_layer_shows_the_share_that_is_left_of_its_initial_value(tmp_path: Path) -> None:
    model = healthy()
    for share in (0.25, 0.6):
        layer = bn(model, "bn_3")
        before = layer.get_weights()
        layer.moving_mean.assign((1 - share) * np.array(layer.moving_mean))
        layer.moving_variance.assign((1 - share) * np.array(layer.moving_variance) + share)
        residue = diagnose(model, held_back()[0]).drifts[2].residue
        layer.set_weights(before)
        assert residue is not None
        assert abs(residue - share) < 0.06


def residual() -> tuple[Any, Any, Any]:
    return healthy(), *held_back()


def without_batch_norm() -> tuple[Any, Any, Any]:
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Dense(40, activation="relu")(layers.Flatten()(image))
    images, labels = digits()
    model = keras.Model(image, layers.Dense(10, activation="softmax")(layers.Dropout(0.2)(x)))
    return fit(model, images[:1397], labels[:1397], 15), *held_back()


def regression() -> tuple[Any, Any, Any]:
    """The amount of ink, from a perceptron with BatchNormalization on vectors."""
    x = image = keras.Input((8, 8, 1), name="image")
    for width in (30, 20):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.Dense(width)(layers.Flatten()(x))))
    images, _ = digits()
    ink = 10 * images.mean(axis=(1, 2, 3))
    model = keras.Model(image, layers.Dense(1, name="ink")(x))
    return fit(model, images[:1397], ink[:1397], 25), images[-300:], ink[-300:]


@cache
def frozen_elsewhere() -> tuple[Any, Any, Any]:
    """Correct transfer: the backbone stays on the statistics of another domain, and the head was trained on them."""
    model = healthy()
    body = model.get_layer("backbone")
    body.trainable = False
    images, labels = digits()
    shifted = (1.3 - 0.6 * images).astype(np.float32)
    features = body.predict(shifted[:1397], verbose=0)
    inputs = keras.Input(features.shape[1:])
    fit(keras.Model(inputs, model.layers[-1](inputs)), features, labels[:1397], 25, 2e-2)
    return model, shifted[-300:], labels[-300:]


def untrained_flag_only() -> tuple[Any, Any, Any]:
    """A model that is frozen after training, on the data that it was trained on."""
    model = healthy()
    model.trainable = False
    return model, *held_back()


@pytest.mark.parametrize(
    "make", [residual, without_batch_norm, regression, frozen_elsewhere, untrained_flag_only], ids=lambda m: m.__name__
)
def test_nothing_is_found_in_a_healthy_model(make: Callable[[], tuple[Any, Any, Any]]) -> None:
    model, samples, labels = make()
    assert diagnose(model, samples, labels=labels).findings == ()
    assert diagnose(model).findings == ()
    assert not diagnose(model, samples[:60]).has(Severity.WARNING)


def test_a_frozen_layer_opens_no_gap_between_the_phases() -> None:
    model, samples, labels = frozen_elsewhere()
    assert accuracy(model.predict(samples, verbose=0), labels) > 0.6
    gap = diagnose(model, samples, labels=labels).phase_1
    assert gap is not None
    assert gap.changes["probabilities"].largest < 1e-5  # rounding alone


def test_the_model_is_restored_also_when_the_diagnosis_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_head(backbone(training=True))
    before = snapshot(model)

    def fails(*_: Any) -> Any:
        model.variables[0].assign(np.full(model.variables[0].shape, 7.0))
        raise RuntimeError("broken")

    monkeypatch.setattr(module, "run_untouched", fails)
    with pytest.raises(RuntimeError, match="broken"):
        diagnose(model, held_back()[0])
    assert snapshot(model) == before


def test_labels_that_do_not_fit_are_refused_with_the_reason() -> None:
    samples, labels = held_back()
    with pytest.raises(LabelsError, match="expected 300 rows"):
        diagnose(healthy(), samples, labels=labels[:-1])
    with pytest.raises(LabelsError, match="outputs are"):
        diagnose(healthy(), samples, labels={"other": labels, "probabilities": labels})
    with pytest.raises(LabelsError, match="10 classes"):
        diagnose(healthy(), samples, labels=labels + 1)


def test_a_masked_layer_is_not_a_fault_and_a_note_explains_it() -> None:
    """Masked values are not part of a layer's statistics: they are not compared, and a note gives the reason."""
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.BatchNormalization(momentum=0.5, name="masked")(layers.Embedding(9, 4, mask_zero=True)(tokens))
    model = keras.Model(tokens, layers.Dense(2, activation="softmax")(layers.LSTM(5)(x)))
    samples = np.random.default_rng(0).integers(0, 9, (96, 6))
    labels = (samples == 3).any(axis=1).astype(np.int64)
    diagnosis = diagnose(fit(model, samples, labels, 3), samples, labels=labels)
    assert diagnosis.findings == ()
    assert any("masked: it may be fed with a mask" in note for note in diagnosis.notes)
    assert diagnosis.scores


def test_a_frozen_layer_that_was_never_updated_is_noted_and_chance_does_not_speak_against_it() -> None:
    """A backbone without the weights it should have: an untrained model may be right a little more often by chance."""
    keras.utils.set_random_seed(3)
    model = with_head(backbone())
    model.get_layer("backbone").trainable = False
    samples, labels = held_back()
    guessed = model.predict(samples, verbose=0).argmax(axis=1)
    labels = np.where(guessed == labels, (labels + 1) % 10, labels)  # the model as it is is never right
    findings = diagnose(model, samples, labels=labels).findings
    assert {(finding.kind, finding.severity) for finding in findings} == {(FindingKind.UNTOUCHED, Severity.NOTE)}


def test_a_baked_phase_is_named_although_its_statistics_are_not_numbers() -> None:
    """Whoever trains on batch statistics alone never sees them: they may be anything."""
    model = healthy(training=True)
    for name in ("bn_1", "bn_2"):
        layer = bn(model, name)
        layer.moving_mean.assign(np.full(layer.moving_mean.shape, np.nan))
        layer.moving_variance.assign(np.full(layer.moving_variance.shape, np.nan))
    for samples in (None, held_back()[0]):
        kinds = {finding.kind for finding in diagnose(model, samples).findings}
        assert {FindingKind.NON_FINITE, FindingKind.BAKED_PHASE} <= kinds


def test_few_samples_are_noted_as_showing_little() -> None:
    samples, _ = held_back()
    few, enough = diagnose(healthy(), samples[:3]), diagnose(healthy(), samples[:32])
    assert few.findings == enough.findings == ()
    assert [note for note in few.notes if "give 32 or more" in note]
    assert enough.notes == ()
