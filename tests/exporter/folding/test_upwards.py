"""Backward folds across what stands between the host and its BatchNormalization, and shared hosts."""

from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import inception_resnet_v2

from tests.exporter.models import actions, assert_folds, kinds, randomise

L = keras.layers
IMAGE = (9, 7, 4)

BETWEEN = {
    "average": lambda: [L.AveragePooling2D((3, 2), padding="same")],
    "global average": lambda: [L.GlobalAveragePooling2D()],
    "upsampling": lambda: [L.UpSampling2D((2, 1))],
    "cropping": lambda: [L.Cropping2D(1)],
    "reshape": lambda: [L.Reshape((-1, 5))],
    "permute": lambda: [L.Permute((2, 1, 3))],
    "identity": lambda: [L.Identity(), L.Dropout(0.3)],
    "several": lambda: [L.AveragePooling2D(2), L.Dropout(0.3), L.Reshape((-1, 5))],
}


def stem(*layers: Any, positive: bool = False, activation: str | None = None, **bn: Any) -> Any:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(5, (3, 2), name="stem", activation=activation)(inputs)
    norm = L.BatchNormalization(**bn)
    for layer in [*layers, norm]:
        x = layer(x)
    model = randomise(keras.Model(inputs, keras.ops.tanh(x)))
    if positive:
        norm.gamma.assign(np.abs(norm.gamma.numpy()) + 0.1)
    return model


@pytest.mark.parametrize("name", BETWEEN)
def test_a_map_is_moved_up_across_what_commutes_with_it(name: str) -> None:
    folded = assert_folds(stem(*BETWEEN[name]()))
    assert actions(folded) == ["backward"] and folded.plan[0].host == "stem"


def test_nothing_is_shifted_before_padding() -> None:
    folded = assert_folds(stem(L.ZeroPadding2D(1)))
    assert actions(folded) == ["backward_scale_left_affine_shift"]
    assert kinds(folded.model) == ["Conv2D", "ZeroPadding2D", "Add", "Tanh"]


@pytest.mark.parametrize("positive", [True, False])
def test_a_maximum_commutes_where_no_gain_is_negative(positive: bool) -> None:
    assert actions(assert_folds(stem(L.MaxPooling2D(2), positive=positive))) == [
        "backward" if positive else "backward_shift_left_affine_scale"
    ]


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("within", [True, False])
def test_a_positive_scale_goes_up_through_relu_and_leaves_the_shift(positive: bool, within: bool) -> None:
    model = stem(positive=positive, activation="relu") if within else stem(L.ReLU(), positive=positive)
    assert actions(assert_folds(model)) == ["backward_scale_left_affine_shift" if positive else "left_affine"]


def test_a_concatenation_is_folded_part_by_part() -> None:
    inputs = keras.Input(IMAGE)
    parts = [L.Conv2D(3, 3, padding="same")(inputs), L.DepthwiseConv2D(3, padding="same")(inputs)]
    x = L.BatchNormalization()(L.Concatenate()(parts))
    folded = assert_folds(randomise(keras.Model(inputs, L.ELU()(x))))
    assert actions(folded) == ["backward"]


def test_a_concatenation_with_a_part_that_cannot_is_left_whole() -> None:
    inputs = keras.Input(IMAGE)
    parts = [L.Conv2D(3, 3, padding="same")(inputs), keras.ops.tanh(inputs)]
    x = L.BatchNormalization()(L.Concatenate()(parts))
    assert actions(assert_folds(randomise(keras.Model(inputs, L.ELU()(x))))) == ["left_affine"]


@pytest.mark.parametrize("join", [L.Add, L.Subtract, L.Average])
def test_a_sum_of_hosts_takes_its_map_in_every_part(join: Any) -> None:
    inputs = keras.Input(IMAGE)
    x = join()([L.Conv2D(3, (3, 2))(inputs), L.Conv2D(3, (3, 2), use_bias=False)(inputs)])
    folded = assert_folds(randomise(keras.Model(inputs, L.ELU()(L.BatchNormalization()(x)))))
    assert actions(folded) == ["backward"]


def test_a_host_shared_with_its_normalization_stays_shared() -> None:
    conv, bn = L.Conv2D(3, 3, name="conv"), L.BatchNormalization(name="bn")
    a, b = keras.Input(IMAGE), keras.Input(IMAGE)
    folded = assert_folds(randomise(keras.Model([a, b], L.Multiply()([bn(conv(a)), bn(conv(b))]))))
    assert [(e.bn, e.call, e.action) for e in folded.plan] == [("bn", 0, "backward"), ("bn", 1, "backward")]
    assert kinds(folded.model).count("Conv2D") == 1 and len(folded.model.weights) == 2


def test_a_host_shared_by_different_normalizations_is_copied_for_each() -> None:
    conv = L.Conv2D(3, 3, name="conv")
    a, b = keras.Input(IMAGE), keras.Input(IMAGE)
    parts = [L.BatchNormalization()(conv(a)), L.BatchNormalization()(conv(b)), conv(a)]
    folded = assert_folds(randomise(keras.Model([a, b], L.Multiply()(parts))))
    assert actions(folded) == ["backward"] * 2
    assert kinds(folded.model).count("Conv2D") == 3


def test_a_shared_normalization_folds_into_each_host() -> None:
    bn, a = L.BatchNormalization(name="bn"), keras.Input(IMAGE)
    parts = [bn(L.Conv2D(3, 3)(a)), bn(L.Conv2D(3, 3, use_bias=False)(a)), bn(keras.ops.tanh(a[:, 1:-1, 1:-1, :3]))]
    folded = assert_folds(randomise(keras.Model(a, L.Multiply()(parts))))
    assert actions(folded) == ["backward", "backward", "left_affine"]


def test_a_shared_backbone_folds_once() -> None:
    inputs = keras.Input(IMAGE)
    tower = keras.Model(inputs, L.BatchNormalization()(L.Conv2D(3, 3)(inputs)), name="tower")
    a, b = keras.Input(IMAGE), keras.Input(IMAGE)
    folded = assert_folds(randomise(keras.Model([a, b], L.Subtract()([tower(a), tower(b)]))))
    assert [entry.call for entry in folded.plan] == [0, 1] and len(folded.model.weights) == 2


def test_preprocessing_merges_with_the_first_normalization() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = L.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(x)
    folded = assert_folds(randomise(keras.Model(inputs, L.Conv2D(3, 2)(L.BatchNormalization()(x)))))
    assert actions(folded) == ["forward"] and kinds(folded.model) == ["Conv2D"]


@pytest.mark.parametrize(
    ("padding", "left", "action"),
    [("valid", ["Cast", "Conv2D"], "forward"), ("same", ["Cast", "Add", "Conv2D"], "forward_scale_left_affine_shift")],
)
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_of_the_preprocessing_of_bytes_only_the_cast_stays_and_a_shift_before_padding(
    dtype: str, padding: str, left: list[str], action: str
) -> None:
    inputs = keras.Input(IMAGE, dtype=dtype)
    x = L.BatchNormalization()(L.Rescaling(1 / 127.5, offset=-1)(inputs))
    model = randomise(keras.Model(inputs, L.Conv2D(3, 2, padding=padding)(x)))
    rows = np.random.default_rng(0).integers(0, 256, (4, *IMAGE)).astype(dtype)
    folded = assert_folds(model, rows)
    assert kinds(folded.model) == left
    assert actions(folded) == [action]


@pytest.mark.parametrize(
    "arithmetic",
    [
        lambda x: x * 2.0 + 1.0,
        lambda x: 1.0 - x / 3.0,
        lambda x: (x - np.arange(5, dtype=np.float32)) * 0.5,
    ],
    ids=["times plus", "minus over", "by channel"],
)
def test_arithmetic_with_constants_folds_along(arithmetic: Any) -> None:
    inputs = keras.Input(IMAGE)
    x = arithmetic(L.Conv2D(5, 3, name="stem")(inputs))
    folded = assert_folds(randomise(keras.Model(inputs, L.BatchNormalization()(x))))
    assert actions(folded) == ["backward"] and kinds(folded.model) == ["Conv2D"]


def test_arithmetic_on_integers_is_left_alone() -> None:
    inputs = keras.Input((5,), dtype="int32")
    x = L.BatchNormalization()(L.Embedding(12, 3)(inputs * 2 + 1))
    rows = np.random.default_rng(0).integers(0, 5, (4, 5)).astype(np.int32)
    folded = assert_folds(randomise(keras.Model(inputs, x)), rows)
    assert kinds(folded.model) == ["Multiply", "Add", "Embedding"]


@pytest.mark.parametrize("keepdims", [True, False])
def test_a_mean_over_other_axes_commutes(keepdims: bool) -> None:
    inputs = keras.Input(IMAGE)
    x = keras.ops.mean(L.Conv2D(5, 3)(inputs), axis=(1, 2), keepdims=keepdims)
    folded = assert_folds(randomise(keras.Model(inputs, L.ELU()(L.BatchNormalization()(x)))))
    assert actions(folded) == ["backward"]
    x = keras.ops.mean(L.BatchNormalization()(keras.ops.tanh(inputs)), axis=[1, 2], keepdims=keepdims)
    assert actions(assert_folds(randomise(keras.Model(inputs, L.Dense(2)(x))))) == ["forward"]


def test_the_scales_that_an_inception_resnet_writes_down_as_layers_fold_along() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(5, 1)(inputs)
    branch = L.Conv2D(5, 3, padding="same")(inputs)
    scaled = inception_resnet_v2.CustomScaleLayer(0.17)([x, branch])
    folded = assert_folds(randomise(keras.Model(inputs, L.BatchNormalization()(scaled))))
    assert actions(folded) == ["backward"] and kinds(folded.model) == ["Conv2D", "Conv2D", "Add"]


def test_a_custom_layer_reads_a_scale_that_stays() -> None:
    class Shifted(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + keras.ops.ones((4,))

    inputs = keras.Input((6, 4))
    x = Shifted()(L.BatchNormalization(center=False)(inputs))
    model = randomise(keras.Model(inputs, x))
    model.layers[1].moving_mean.assign(keras.ops.zeros(4))
    assert kinds(assert_folds(model).model) == ["Multiply", "Shifted"]
