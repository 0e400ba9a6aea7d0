"""Maps that have to stay: each is one Rescaling, and the plan has the reason."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.folding import Action
from tests.exporter.models import actions, assert_folds, kinds, randomise, samples

L = keras.layers


def lone(shape: tuple[int | None, ...] = (9, 7, 4), **bn: Any) -> Any:
    inputs = keras.Input(shape, name="image")
    return randomise(keras.Model(inputs, L.BatchNormalization(name="bn", **bn)(inputs)))


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_a_map_along_any_axis_becomes_one_rescaling(axis: int) -> None:
    folded = assert_folds(lone(axis=axis))
    assert kinds(folded.model) == ["Rescaling"]
    assert folded.plan[0].action is Action.AFFINE and "affine" in folded.plan[0].action
    assert "the model's input image" in folded.plan[0].reason


def test_a_kept_map_holds_the_rounded_numbers_exactly() -> None:
    model = lone((4,))
    bn = model.layers[1]
    scale = bn.gamma.numpy().astype(np.float64) / np.sqrt(bn.moving_variance.numpy().astype(np.float64) + bn.epsilon)
    rescaling = assert_folds(model).model.layers[-1]
    assert np.asarray(rescaling.scale, np.float32).tolist() == scale.astype(np.float32).tolist() == rescaling.scale


def test_a_host_whose_output_is_read_twice_is_left_alone() -> None:
    inputs = keras.Input((9, 7, 3))
    x = L.Conv2D(4, 3, name="stem")(inputs)
    model = keras.Model(inputs, L.Multiply(name="gate")([L.ReLU()(L.BatchNormalization()(x)), x]))
    folded = assert_folds(randomise(model))
    assert actions(folded) == ["left_affine"]
    assert "the output of stem feeds several readers: batch_normalization" in folded.plan[0].reason


def test_a_host_that_is_an_output_is_left_alone() -> None:
    inputs = keras.Input((9, 7, 3))
    x = L.Conv2D(4, 3, name="stem")(inputs)
    model = keras.Model(inputs, [x, L.BatchNormalization()(x)])
    folded = assert_folds(randomise(model))
    assert actions(folded) == ["left_affine"]
    assert "output of stem is an output of the model" in folded.plan[0].reason


def test_an_activation_in_between_is_named() -> None:
    inputs = keras.Input((9, 7, 3))
    model = keras.Model(inputs, L.BatchNormalization()(L.Conv2D(4, 3, activation="tanh", name="stem")(inputs)))
    folded = assert_folds(randomise(model))
    assert actions(folded) == ["left_affine"]
    assert "stem applies its activation 'tanh'" in folded.plan[0].reason
    assert folded.plan[0].reason.endswith(
        "To fold it wholly, put it between stem and that activation; then train again"
    )


def test_another_axis_than_the_channels_is_left_alone() -> None:
    inputs = keras.Input((9, 7, 3))
    model = keras.Model(inputs, L.BatchNormalization(axis=1)(L.Conv2D(4, 3, name="stem")(inputs)))
    folded = assert_folds(randomise(model))
    assert actions(folded) == ["left_affine"] and "not the channel axis of stem" in folded.plan[0].reason


def test_maps_in_a_row_are_kept_as_one() -> None:
    inputs = keras.Input((6,))
    x = L.BatchNormalization(name="a")(L.ReLU()(inputs))
    folded = assert_folds(randomise(keras.Model(inputs, L.ReLU()(L.BatchNormalization(name="b")(x)))))
    assert actions(folded) == ["merged_into_affine", "left_affine"]
    assert folded.plan[0].host == "b" and kinds(folded.model) == ["ReLU", "Rescaling", "ReLU"]


def test_a_map_that_changes_nothing_vanishes() -> None:
    inputs = keras.Input((6,))
    bn = L.BatchNormalization(epsilon=0.0)
    folded = assert_folds(keras.Model(inputs, L.ReLU()(bn(inputs))))
    assert actions(folded) == ["identity"] and kinds(folded.model) == ["ReLU"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_saved_model_loads_where_foldserve_is_not(tmp_path: Path) -> None:
    inputs = keras.Input((8, 7, 3))
    x = L.ZeroPadding2D(1)(L.BatchNormalization()(L.Conv2D(4, 3, groups=1)(inputs)))
    x = L.BatchNormalization(axis=2)(L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, groups=2)(x))))
    x = L.BatchNormalization(axis=1)(L.ZeroPadding2D(1)(L.Conv2D(4, 3)(x)))
    x = L.ZeroPadding2D(1)(L.Conv2D(4, 1)(L.ReLU()(x)))
    x = L.ELU()(L.BatchNormalization()(x))
    folded = assert_folds(randomise(keras.Model(inputs, L.BatchNormalization()(L.ReLU()(x)))))
    folded.model.save(tmp_path / "m.keras")
    x = samples(folded.model)
    np.savez(tmp_path / "m.npz", x=x, y=np.asarray(folded.model(x)))
    script = (
        "import sys; sys.modules['foldserve_exporter'] = sys.modules['foldserve_contract'] = None\n"
        "import keras, numpy as np\n"
        "m, d = keras.saving.load_model('m.keras'), np.load('m.npz')\n"
        "assert all(type(op).__module__.startswith('keras.') for op in m.operations)\n"
        "for phase in (True, False): assert np.array_equal(np.asarray(m(d['x'], training=phase)), d['y'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
