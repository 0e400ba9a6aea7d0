"""The smallest epsilon is put in force where it was, and nowhere else."""

import pytest

from foldserve_exporter.load.legacy.epsilon import FLOOR, apply_floor

from .old_files import old_keras

with old_keras() as tf_keras:
    L = tf_keras.layers

SAVED = 1e-7
RANK_4, RANK_5, RANK_2, RANK_3 = (5, 6, 3), (4, 5, 6, 3), (3,), (6, 3)


def in_force(version: str, shape: tuple[int, ...], axis: int = -1, epsilon: float = SAVED) -> float:
    model = tf_keras.Sequential([L.Input(shape), L.BatchNormalization(axis=axis, epsilon=epsilon, name="bn")])
    notes = apply_floor(model, version)
    assert bool(notes) == (model.get_layer("bn").epsilon != epsilon)
    return float(model.get_layer("bn").epsilon)


@pytest.mark.parametrize(
    "version", ["2.2.1", "2.2.4", "2.3.1", "2.1.6-tf", "2.2.4-tf", "2.3.0-tf", "2.4.0", "2.10.0", "2.11.0"]
)
def test_images_had_a_floor(version: str) -> None:
    assert in_force(version, RANK_4) == FLOOR
    assert in_force(version, RANK_4, epsilon=1e-3) == 1e-3


@pytest.mark.parametrize("version", ["2.0.8", "2.1.6", "2.2.0", "2.12.0", "2.13.1", "2.14.0", "2.15.0", "2.21.0", ""])
def test_before_and_after_there_was_none(version: str) -> None:
    assert in_force(version, RANK_4) == SAVED


@pytest.mark.parametrize("version", ["2.2.4", "2.3.0-tf", "2.10.0"])
@pytest.mark.parametrize(("shape", "axis"), [(RANK_2, -1), (RANK_3, -1), (RANK_4, 2)])
def test_what_the_fused_kernel_did_not_compute_has_none(version: str, shape: tuple[int, ...], axis: int) -> None:
    assert in_force(version, shape, axis) == SAVED


def test_volumes_and_channels_first_had_it_in_tf_keras_only() -> None:
    assert in_force("2.6.0", RANK_5) == FLOOR
    assert in_force("2.10.0", RANK_5) == FLOOR
    assert in_force("2.5.0", RANK_5) == SAVED
    assert in_force("2.2.4", RANK_5) == SAVED
    assert in_force("2.1.6-tf", RANK_5) == SAVED
    assert in_force("2.10.0", RANK_4, axis=1) == FLOOR
    assert in_force("2.2.4", RANK_4, axis=1) == SAVED


def test_layers_in_nested_models_and_wrappers_are_reached() -> None:
    inner = tf_keras.Sequential([L.Input(RANK_4), L.BatchNormalization(epsilon=SAVED, name="inside")])
    outer = tf_keras.Sequential([L.Input(RANK_5), L.TimeDistributed(inner), L.BatchNormalization(name="fine")])
    (note,) = apply_floor(outer, "2.10.0")
    assert "'inside'" in note and "fine" not in note
    assert inner.get_layer("inside").epsilon == FLOOR
