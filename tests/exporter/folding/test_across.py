"""Maps that get across sums and products because another layer takes a part of them, or takes them back."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.folding import Folded
from tests.exporter.models import actions, assert_folds, kinds, randomise

L = keras.layers
IMAGE = (9, 7, 4)


def folded(inputs: Any, outputs: Any, positive: bool = False) -> Folded:
    model = randomise(keras.Model(inputs, outputs))
    for layer in model.layers:
        if positive and isinstance(layer, L.BatchNormalization):
            layer.gamma.assign(np.abs(layer.gamma.numpy()) + 0.1)
    return assert_folds(model)


def preactivated(x: Any, convolutions: int = 1) -> Any:
    for _ in range(convolutions):
        x = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
    return x


@pytest.mark.parametrize("join", [L.Add, lambda: lambda pair: pair[0] + pair[1], L.Subtract, L.Average])
def test_a_preactivated_sum_keeps_no_affine_beside_itself(join: Any) -> None:
    """A normalization's shift goes into the host of the sum, and its inverse into the other branch."""
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        x = join()([x, preactivated(x)])
    result = folded(inputs, L.Conv2D(2, 1)(L.ReLU()(L.BatchNormalization()(x))), positive=True)
    assert actions(result) == ["backward"] * 3
    assert sum(kind in ("Add", "Multiply", "Rescaling", "Subtract", "Average") for kind in kinds(result.model)) == 2


def test_a_gain_of_both_signs_stays_before_its_activation_and_the_shift_does_not() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same")(L.Activation("tanh")(inputs))
    x = L.Add()([L.ReLU()(x), preactivated(x)])
    assert actions(folded(inputs, x)) == ["left_affine"]
    x = L.Add()([L.Conv2D(4, 1)(inputs), L.Activation("tanh")(inputs)])
    x = L.Add()([x, preactivated(x)])
    assert actions(folded(inputs, x)) == ["backward_shift_left_affine_scale"]


def test_a_shift_that_drowns_the_values_is_not_carried_around() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same")(inputs)
    norm = L.BatchNormalization()
    x = L.Add()([x, L.Conv2D(4, 3, padding="same")(L.ReLU()(norm(x)))])
    model = randomise(keras.Model(inputs, L.Conv2D(2, 2)(x)))
    for beta, action in ((1.0, "backward"), (1000.0, "backward_scale_left_affine_shift")):
        norm.gamma.assign(np.full(4, 0.5))
        norm.beta.assign(np.full(4, beta))
        assert actions(assert_folds(model)) == [action]


def test_an_output_beside_the_normalization_is_not_moved() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, padding="same", name="stem")(inputs)
    result = folded(inputs, [x, L.Add()([x, preactivated(x)])], positive=True)
    assert actions(result) == ["forward_scale_left_affine_shift"]


def test_normalizations_behind_sums_go_on_to_the_next_one() -> None:
    """As transformers have it: x = norm(x + f(x)). The branch takes back what the sum must not scale."""
    inputs = keras.Input((6, 5))
    x = L.Dense(8)(inputs)
    for _ in range(3):
        x = L.BatchNormalization()(L.Add()([x, L.Dense(8)(L.Dense(6, activation="tanh")(x))]))
    result = folded(inputs, L.Dense(2)(x))
    assert actions(result) == ["forward"] * 3
    assert kinds(result.model).count("Add") == 3 and not {"Multiply", "Rescaling"} & set(kinds(result.model))


@pytest.mark.parametrize("shape", [(1, 1, 4), (9, 7, 1), (1, 1, 1)])
def test_a_gate_that_is_broadcast_passes_its_scale_on(shape: tuple[int, ...]) -> None:
    inputs, gate = keras.Input(IMAGE), keras.Input(shape)
    x = L.Multiply()([L.Activation("tanh")(inputs), L.Activation("sigmoid")(gate) * 0.2])
    model = randomise(keras.Model([inputs, gate], L.Conv2D(3, 2)(x)))
    assert kinds(assert_folds(model).model).count("Multiply") == 1


def test_a_scale_goes_into_one_factor_of_a_product() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Multiply()([L.Activation("sigmoid")(L.Conv2D(4, 3)(inputs)), L.Conv2D(4, 3)(inputs)])
    result = folded(inputs, L.Activation("tanh")(L.BatchNormalization()(x)))
    assert actions(result) == ["backward_scale_left_affine_shift"]


@pytest.mark.parametrize("positive", [True, False])
def test_two_normalizations_around_an_activation_come_to_rest(positive: bool) -> None:
    """Each could give its scale to the other, for ever."""
    inputs = keras.Input((6,))
    x = L.BatchNormalization()(L.ReLU()(L.BatchNormalization()(L.Activation("tanh")(inputs))))
    result = folded(inputs, L.Activation("tanh")(x), positive)
    assert actions(result) == (["forward_scale_left_affine_shift", "left_affine"] if positive else ["left_affine"] * 2)


def test_one_minus_is_one_subtraction() -> None:
    inputs = keras.Input((6,))
    x = keras.ops.tanh(1.0 - keras.ops.sigmoid(inputs))
    assert kinds(assert_folds(keras.Model(inputs, x)).model) == ["Sigmoid", "Subtract", "Tanh"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layer", [L.LSTM, L.GRU, L.SimpleRNN, lambda n, **w: L.GRU(n, reset_after=False, **w)])
def test_a_recurrent_layer_absorbs_the_map_before_it(layer: Any, bias: bool) -> None:
    inputs = keras.Input((5, 3))
    x = L.BatchNormalization()(L.Activation("tanh")(inputs))
    assert actions(folded(inputs, layer(4, use_bias=bias)(x))) == ["forward"]


@pytest.mark.parametrize("bias", [True, False])
def test_attention_absorbs_the_maps_before_and_behind_it(bias: bool) -> None:
    inputs, other = keras.Input((5, 6)), keras.Input((4, 6))

    def norm(x: Any) -> Any:
        return L.BatchNormalization()(L.Activation("tanh")(x))

    attend = L.MultiHeadAttention(2, 3, use_bias=bias)
    x = L.BatchNormalization()(attend(norm(inputs), norm(other), key=norm(other)))
    assert actions(folded([inputs, other], L.Activation("tanh")(x))) == ["forward"] * 3 + ["backward"]
