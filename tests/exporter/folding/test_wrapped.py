"""BatchNormalization in places that are not a plain functional model."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.errors import Refused
from foldserve_exporter.folding import fold
from foldserve_exporter.graph import rebuild, trace
from tests.exporter.models import actions, assert_folds, flat, kinds, randomise

L = keras.layers
FILM = (4, 9, 7, 3)


def cnn() -> Any:
    layers = [L.Conv2D(5, (3, 2), name="conv"), L.BatchNormalization(name="bn"), L.ReLU(), L.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input(FILM[1:]), *layers], name="cnn")


def test_layers_in_time_distributed_fold() -> None:
    model = keras.Sequential(
        [
            keras.Input(FILM),
            L.TimeDistributed(L.Conv2D(5, (3, 2), use_bias=False), name="conv"),
            L.TimeDistributed(L.BatchNormalization(), name="norm"),
            L.TimeDistributed(L.ReLU()),
        ]
    )
    folded = assert_folds(randomise(model))
    assert [(e.bn, e.action, e.host) for e in folded.plan] == [("norm", "backward", "conv")]
    assert kinds(folded.model) == ["Reshape", "Conv2D", "ReLU", "Reshape"]


def test_a_model_in_time_distributed_folds() -> None:
    inputs = keras.Input(FILM)
    x = L.LSTM(3)(L.TimeDistributed(cnn(), name="frames")(inputs))
    folded = assert_folds(randomise(keras.Model(inputs, x)))
    assert actions(folded) == ["backward"] and folded.plan[0].bn == "frames/bn"
    assert kinds(folded.model) == ["Reshape", "Conv2D", "ReLU", "GlobalAveragePooling2D", "Reshape", "LSTM"]


@pytest.mark.parametrize("axis", [-1, 2])
def test_the_axis_of_a_wrapped_normalization_is_counted_within_a_step(axis: int) -> None:
    inputs = keras.Input((4, 6, 3))
    model = keras.Model(inputs, L.TimeDistributed(L.BatchNormalization(axis=axis))(inputs))
    assert_folds(randomise(model))


def test_over_a_dynamic_number_of_steps_pointwise_layers_fold() -> None:
    inputs = keras.Input((None, *FILM[1:]))
    x = L.TimeDistributed(L.BatchNormalization())(L.TimeDistributed(L.Dense(5), name="dense")(inputs))
    model = randomise(keras.Model(inputs, L.GlobalAveragePooling3D()(x)))
    rows = np.random.default_rng(0).normal(size=(3, *FILM)).astype(np.float32)
    folded = assert_folds(model, rows)
    assert actions(folded) == ["backward"] and folded.plan[0].host == "dense"


def test_masks_travel_past_a_wrapped_normalization() -> None:
    inputs = keras.Input((5, 3))
    x = L.TimeDistributed(L.Dense(4))(L.Masking()(inputs))
    x = L.LSTM(3)(L.TimeDistributed(L.BatchNormalization())(x))
    rows = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    rows[:, 3:] = 0
    assert actions(assert_folds(randomise(keras.Model(inputs, x)), rows)) == ["backward"]


class Live(keras.layers.BatchNormalization):
    """Insists on batch statistics."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return super().call(inputs, training=True, mask=mask)


class Squared(keras.layers.BatchNormalization):
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return super().call(inputs * inputs, training=training, mask=mask)


def test_a_subclass_with_a_baked_training_phase_is_folded_on_moving_statistics() -> None:
    inputs = keras.Input((9, 7, 3))
    conv = L.Conv2D(4, 3)
    live, plain = Live(), L.BatchNormalization()
    model = randomise(keras.Model(inputs, live(conv(inputs))))
    twin = keras.Model(inputs, plain(conv(inputs)))
    plain.set_weights(live.get_weights())
    rows = np.random.default_rng(0).normal(size=(4, 9, 7, 3)).astype(np.float32)
    expected = flat(twin(rows))[0]
    np.testing.assert_allclose(flat(fold(model).model(rows))[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(flat(rebuild(trace(model), "float64")(rows))[0], expected, rtol=1e-4, atol=1e-5)


def test_a_subclass_that_computes_something_else_is_refused() -> None:
    inputs = keras.Input((6,))
    with pytest.raises(Refused, match=r"odd: Squared overrides call\(\)"):
        fold(randomise(keras.Model(inputs, Squared(name="odd")(inputs))))


def test_a_plain_subclass_folds() -> None:
    class Named(keras.layers.BatchNormalization):
        pass

    inputs = keras.Input((6,))
    assert actions(assert_folds(randomise(keras.Model(inputs, Named()(L.Dense(3)(inputs)))))) == ["backward"]


def test_a_random_crop_is_refused_unless_it_crops_nothing() -> None:
    inputs = keras.Input((9, 8, 3))

    def cropped(height: int, width: int) -> Any:
        x = L.RandomCrop(height, width, name="crop")(inputs)
        return randomise(keras.Model(inputs, L.BatchNormalization()(L.Conv2D(4, 3)(x))))

    assert actions(assert_folds(cropped(9, 8))) == ["backward"]
    with pytest.raises(Refused, match="crop: outside of training"):
        trace(cropped(6, 5))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_folds_in_float32(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((9, 7, 3))
        model = keras.Model(inputs, L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(inputs))))
    finally:
        keras.config.set_dtype_policy("float32")
    rows = np.random.default_rng(0).normal(size=(4, 9, 7, 3)).astype(np.float32)
    folded = fold(randomise(model))
    assert actions(folded) == ["backward"] and {v.dtype for v in folded.model.variables} == {"float32"}
    exact, plain = (flat(rebuild(trace(model), dtype)(rows, training=False))[0] for dtype in ("float64", "float32"))
    got = flat(folded.model(rows))[0]
    assert np.abs(got - exact).max() <= 8 * np.abs(plain - exact).max() + 2e-6 * np.abs(exact).max()


def test_several_inputs_and_outputs_fold() -> None:
    a, b = keras.Input((9, 7, 3), name="a"), keras.Input((6,), name="b")
    x = L.GlobalAveragePooling2D()(L.BatchNormalization(name="one")(L.Conv2D(5, 3)(a)))
    y = L.BatchNormalization(name="two")(L.Dense(5)(b))
    model = keras.Model({"a": a, "b": b}, {"sum": L.Add()([x, y]), "deep": L.BatchNormalization(name="three")(y)})
    folded = assert_folds(randomise(model))
    assert actions(folded) == ["backward"] * 2 + ["left_affine"]
