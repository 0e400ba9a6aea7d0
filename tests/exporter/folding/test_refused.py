import keras
import numpy as np
import pytest

from foldserve_exporter.errors import Refused
from foldserve_exporter.folding import fold
from tests.exporter.models import randomise, snapshot

L = keras.layers


def model() -> keras.Model:
    inputs = keras.Input((6,))
    return randomise(keras.Model(inputs, L.BatchNormalization(name="norm")(L.Dense(4)(inputs))))


@pytest.mark.parametrize("weight", ["gamma", "beta", "moving_mean", "moving_variance"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_by_layer_and_weight(weight: str, wrong: float) -> None:
    sick = model()
    variable = getattr(sick.get_layer("norm"), weight)
    values = variable.numpy()
    values[[0, 2]] = wrong
    variable.assign(values)
    before = snapshot(sick)
    with pytest.raises(Refused, match=f"norm: {weight} holds 2 non-finite values out of 4") as caught:
        fold(sick)
    assert caught.value.exit_code == 4 and snapshot(sick) == before


@pytest.mark.parametrize("variance", [-1.0, -1e-3])
def test_a_variance_without_a_root_is_refused(variance: float) -> None:
    sick = model()
    sick.get_layer("norm").moving_variance.assign([1, variance, 1, 1])
    sick.get_layer("norm").epsilon = 1e-3
    with pytest.raises(Refused, match=r"norm: moving_variance \+ epsilon is not positive in 1 of 4 channels"):
        fold(sick)


def test_an_object_that_is_not_a_model_is_refused() -> None:
    with pytest.raises(Refused, match="Expected a Keras model, received dict"):
        fold({})
