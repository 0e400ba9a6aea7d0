"""Faults are reported for the output they harm, under their own kind; healthy models have none."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter import diagnose, recalibrate
from foldserve_exporter.diagnosis.drift import LayerDrift
from foldserve_exporter.diagnosis.drift_checks import kind_of
from foldserve_exporter.diagnosis.finding import FindingKind, Severity
from foldserve_exporter.graph import trace

from ..models import randomise

layers = keras.layers
SILENT = slice(0, 5)


@pytest.fixture
def samples() -> Any:
    return np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)


@pytest.fixture
def model(samples: Any) -> Any:
    """Two heads, the second behind five units that are never active; its statistics are those of the samples."""
    x = layers.Dense(24, name="stem")(inputs := keras.Input((6,), name="x"))
    x = layers.ReLU()(layers.BatchNormalization(name="stem_bn")(x))
    classes = layers.Dense(4, activation="softmax", name="kind")(x)
    y = layers.BatchNormalization(name="size_bn")(layers.Dense(16, activation="relu", name="units")(x))
    model = randomise(keras.Model(inputs, {"kind": classes, "size": layers.Dense(1, name="size")(y)}), 3)
    kernel, bias = (np.array(weight) for weight in model.get_layer("units").weights)
    bias[SILENT], kernel[:, SILENT] = -1, 0
    model.get_layer("units").set_weights([kernel, bias])
    recalibrate(model, samples).apply_to(model)
    return model


def labels_of(model: Any, samples: Any) -> dict[str, Any]:
    outputs = model.predict(samples, verbose=0)
    return {"kind": outputs["kind"].argmax(axis=1), "size": outputs["size"]}


def test_units_that_are_never_active_are_not_a_fault(model: Any, samples: Any) -> None:
    assert diagnose(model).findings == ()
    assert diagnose(model, samples, labels=labels_of(model, samples)).findings == ()


def test_a_channel_that_was_constant_at_a_value_is_reported_without_samples(model: Any) -> None:
    layer = model.get_layer("stem_bn")
    layer.moving_variance.assign(np.where(np.arange(24) == 3, 0, np.array(layer.moving_variance)))
    assert [(finding.kind, finding.layer) for finding in diagnose(model).findings] == [
        (FindingKind.TINY_VARIANCE, "stem_bn")
    ]


def test_a_stale_branch_is_reported_as_stale_and_for_its_own_output_alone(model: Any, samples: Any) -> None:
    labels = labels_of(model, samples)
    layer = model.get_layer("size_bn")
    layer.moving_mean.assign(3 * np.array(layer.moving_mean))
    layer.moving_variance.assign(9 * np.array(layer.moving_variance))
    findings = diagnose(model, samples, labels=labels).findings
    assert {finding.kind for finding in findings if finding.layer} == {FindingKind.STALE}
    gaps = [finding for finding in findings if finding.kind is FindingKind.PHASE_GAP]
    assert len(gaps) == 1
    assert "'size'" in gaps[0].what
    assert "'kind'" not in gaps[0].what
    assert gaps[0].severity is Severity.ERROR


def test_a_model_that_hardly_distinguishes_samples_has_no_phase_gap_where_its_statistics_are_right() -> None:
    """Means over many pixels are all but equal, so that the least drift decides between the classes."""
    noise = np.random.default_rng(0).normal(size=(128, 20, 21, 3)).astype(np.float32)
    x = layers.BatchNormalization(name="bn")(inputs := keras.Input((20, 21, 3), name="x"))
    head = layers.Dense(4, activation="softmax", name="kind")
    model = randomise(keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x))), 5)
    recalibrate(model, noise).apply_to(model)
    layer = model.get_layer("bn")
    kernel = np.array(head.kernel)
    head.bias.assign(-np.array(layer.beta) @ kernel)
    layer.moving_mean.assign(np.array(layer.moving_mean) + 0.08 * np.sqrt(np.array(layer.moving_variance)))
    diagnosis = diagnose(model, noise)
    assert diagnosis.phase_1 is not None
    agreement = diagnosis.phase_1.changes["kind"].agreement
    assert agreement is not None
    assert agreement < 0.7
    assert diagnosis.findings == ()


def test_only_a_first_layer_that_drifts_most_has_statistics_of_other_data(model: Any) -> None:
    def drift(layer: str, off: float) -> LayerDrift:
        return LayerDrift(layer, False, 24, off, 0.4, 0.6, 1.2, None, 0.0, None)

    first, second = (node.op for node in trace(model).batch_norms)
    near, far = ([drift(first.path, mine), drift(second.path, theirs)] for mine, theirs in ((0.36, 0.34), (0.5, 0.34)))
    assert kind_of(first, far[0], far)[0] is FindingKind.OTHER_DATA
    assert kind_of(first, near[0], near)[0] is FindingKind.STALE
    assert kind_of(second, far[1], far)[0] is FindingKind.STALE
    assert kind_of(first, far[0], far[:1])[0] is FindingKind.STALE  # nothing to compare it with
