"""BatchNormalization that only layers behind it can absorb, and the layers that may be between the two."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.exporter.models import actions, assert_folds, kinds, randomise

L = keras.layers
IMAGE, SERIES, VOLUME = (9, 7, 4), (11, 4), (5, 6, 4, 4)
FORWARD, SHIFT = "forward", "forward_scale_left_affine_shift"


def before(shape: tuple[int, ...], *layers: Any, positive: bool = False, **bn: Any) -> Any:
    """Layers behind tanh, which nothing folds through, and BatchNormalization, then the layers."""
    inputs = keras.Input(shape)
    norm = L.BatchNormalization(name="bn", **bn)
    x = norm(keras.ops.tanh(inputs))
    for layer in layers:
        x = layer(x)
    model = randomise(keras.Model(inputs, x))
    if positive and norm.scale:
        norm.gamma.assign(np.abs(norm.gamma.numpy()) + 0.1)
    return model


WHOLE: dict[str, tuple[Any, Callable[[], Any]]] = {
    "conv1d": (SERIES, lambda: L.Conv1D(5, 3, strides=2)),
    "conv2d": (IMAGE, lambda: L.Conv2D(5, (3, 2), strides=(2, 1))),
    "conv2d without bias": (IMAGE, lambda: L.Conv2D(5, (3, 2), use_bias=False)),
    "conv2d dilated": (IMAGE, lambda: L.Conv2D(5, (2, 3), dilation_rate=(2, 1))),
    "conv2d grouped": (IMAGE, lambda: L.Conv2D(6, (3, 2), groups=2)),
    "conv2d of one tap": (IMAGE, lambda: L.Conv2D(5, 1, strides=2, padding="same")),
    "conv3d": (VOLUME, lambda: L.Conv3D(3, (2, 3, 1))),
    "depthwise1d": (SERIES, lambda: L.DepthwiseConv1D(3, depth_multiplier=2)),
    "depthwise2d": (IMAGE, lambda: L.DepthwiseConv2D((3, 2), depth_multiplier=2, use_bias=False)),
    "separable1d": (SERIES, lambda: L.SeparableConv1D(5, 3, depth_multiplier=2)),
    "separable2d": (IMAGE, lambda: L.SeparableConv2D(5, (3, 2), depth_multiplier=2)),
    "dense": ((6,), lambda: L.Dense(5)),
    "dense with an activation": ((6,), lambda: L.Dense(5, activation="tanh")),
    "dense on a sequence": (SERIES, lambda: L.Dense(5, use_bias=False)),
    "einsum": (SERIES, lambda: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")),
    "einsum without bias": (SERIES, lambda: L.EinsumDense("abc,cde->abde", (None, 3, 5))),
    "einsum with a map of biases": (SERIES, lambda: L.EinsumDense("abc,cd->abd", (11, 5), bias_axes="b")),
    "einsum with an ellipsis": (IMAGE, lambda: L.EinsumDense("...x,xy->...y", 5, bias_axes="y")),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_host_absorbs_the_map_before_it(name: str) -> None:
    shape, host = WHOLE[name]
    folded = assert_folds(before(shape, host()))
    assert actions(folded) == [FORWARD]
    assert len(kinds(folded.model)) == (5 if "grouped" in name else 2)


SCALE_ONLY: dict[str, tuple[Any, Callable[[], Any]]] = {
    "conv1d causal": (SERIES, lambda: L.Conv1D(5, 3, padding="causal")),
    "conv2d same": (IMAGE, lambda: L.Conv2D(5, (3, 2), padding="same")),
    "depthwise same": (IMAGE, lambda: L.DepthwiseConv2D((3, 2), depth_multiplier=2, padding="same")),
    "separable same": (IMAGE, lambda: L.SeparableConv2D(5, (3, 2), padding="same")),
    "transposed1d": (SERIES, lambda: L.Conv1DTranspose(5, 2, strides=2)),
    "transposed2d": (IMAGE, lambda: L.Conv2DTranspose(5, (3, 2), strides=(2, 1))),
    "transposed3d": (VOLUME, lambda: L.Conv3DTranspose(3, 2)),
}


@pytest.mark.parametrize("name", SCALE_ONLY)
def test_through_zero_padding_goes_the_scale_and_never_the_shift(name: str) -> None:
    shape, host = SCALE_ONLY[name]
    folded = assert_folds(before(shape, host()))
    assert actions(folded) == [SHIFT]
    assert kinds(folded.model)[1] == "Add" and len(kinds(folded.model)) == 3
    assert folded.plan[0].reason.startswith("only its scale is folded")


@pytest.mark.parametrize("name", SCALE_ONLY)
def test_a_normalization_without_shift_goes_whole(name: str) -> None:
    shape, host = SCALE_ONLY[name]
    model = before(shape, host(), center=False)
    model.get_layer("bn").moving_mean.assign(np.zeros(shape[-1]))
    assert actions(assert_folds(model)) == [FORWARD]


def test_a_dead_channel_cannot_be_divided_by_and_keeps_the_whole_map() -> None:
    model = before(IMAGE, L.Conv2D(5, 3, padding="same"))
    gamma = model.get_layer("bn").gamma
    gamma.assign(np.array([1.0, 0.0, -0.5, 0.3]))
    folded = assert_folds(model)
    assert actions(folded) == ["left_affine"] and "Rescaling" in kinds(folded.model)


BETWEEN: dict[str, tuple[Any, Callable[[], Any], str]] = {
    "flatten": (IMAGE, lambda: [L.Flatten(), L.Dense(3)], FORWARD),
    "flatten of channels first": (IMAGE, lambda: [L.Permute((3, 1, 2)), L.Flatten(), L.Dense(3)], FORWARD),
    "global average": (IMAGE, lambda: [L.GlobalAveragePooling2D(), L.Dense(3)], FORWARD),
    "global average kept": (IMAGE, lambda: [L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(3, 1)], FORWARD),
    "global average 1d": (SERIES, lambda: [L.GlobalAveragePooling1D(), L.Dense(3)], FORWARD),
    "global average 3d": (VOLUME, lambda: [L.GlobalAveragePooling3D(), L.Dense(3)], FORWARD),
    "average": (IMAGE, lambda: [L.AveragePooling2D((3, 2)), L.Conv2D(3, 2)], FORWARD),
    "padded average": (IMAGE, lambda: [L.AveragePooling2D((3, 2), padding="same"), L.Conv2D(3, 2)], FORWARD),
    "average 1d": (SERIES, lambda: [L.AveragePooling1D(2), L.Conv1D(3, 2)], FORWARD),
    "average 3d": (VOLUME, lambda: [L.AveragePooling3D(2), L.Conv3D(3, 1)], FORWARD),
    "upsampling": (IMAGE, lambda: [L.UpSampling2D((2, 3)), L.Conv2D(3, 2)], FORWARD),
    "smooth upsampling": (IMAGE, lambda: [L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(3, 2)], FORWARD),
    "cropping": (IMAGE, lambda: [L.Cropping2D(((1, 2), (0, 1))), L.Conv2D(3, 2)], FORWARD),
    "reshape": (IMAGE, lambda: [L.Reshape((63, 4)), L.Dense(3)], FORWARD),
    "reshape that mixes": (IMAGE, lambda: [L.Reshape((7, 36)), L.Dense(3)], FORWARD),
    "permute": (IMAGE, lambda: [L.Permute((2, 1, 3)), L.Conv2D(3, 2)], FORWARD),
    "dropout": (IMAGE, lambda: [L.Dropout(0.5), L.Conv2D(3, 2)], FORWARD),
    "identity": (IMAGE, lambda: [L.Identity(), L.Activation("linear"), L.Conv2D(3, 2)], FORWARD),
    "zero padding": (IMAGE, lambda: [L.ZeroPadding2D(1), L.Conv2D(3, 2)], SHIFT),
    "several": (IMAGE, lambda: [L.AveragePooling2D(2), L.Cropping2D(1), L.Flatten(), L.Dense(3)], FORWARD),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_map_is_moved_across_what_commutes_with_it(name: str) -> None:
    shape, layers, action = BETWEEN[name]
    assert actions(assert_folds(before(shape, *layers()))) == [action]


@pytest.mark.parametrize(
    "pool", [lambda: L.MaxPooling2D((3, 2), padding="same"), L.GlobalMaxPooling2D], ids=["max", "global"]
)
@pytest.mark.parametrize("positive", [True, False])
def test_a_maximum_commutes_where_no_gain_is_negative(pool: Callable[[], Any], positive: bool) -> None:
    folded = assert_folds(before(IMAGE, pool(), L.Dense(3), positive=positive))
    assert actions(folded) == [FORWARD if positive else "forward_shift_left_affine_scale"]
    assert positive or "negative gamma" in folded.plan[0].reason


@pytest.mark.parametrize(
    "activation",
    [L.ReLU, L.LeakyReLU, L.PReLU, lambda: L.Activation("relu"), lambda: L.ReLU(negative_slope=0.2)],
    ids=["relu", "leaky", "prelu", "activation", "sloped"],
)
@pytest.mark.parametrize("positive", [True, False])
def test_a_positive_scale_goes_through_an_activation_with_a_kink_at_zero(activation: Any, positive: bool) -> None:
    folded = assert_folds(before(IMAGE, activation(), L.Conv2D(3, 2, padding="same"), positive=positive))
    assert actions(folded) == [SHIFT if positive else "left_affine"]


@pytest.mark.parametrize("activation", [lambda: L.ReLU(max_value=6.0), lambda: L.ReLU(threshold=0.1), L.ELU])
def test_no_scale_goes_through_any_other_activation(activation: Any) -> None:
    folded = assert_folds(before(IMAGE, activation(), L.Conv2D(3, 2), positive=True))
    assert actions(folded) == ["left_affine"]


def test_every_reader_must_absorb_the_map() -> None:
    for second, action in (
        (L.Conv2D(2, 3), FORWARD),
        (L.Conv2D(2, 3, padding="same"), SHIFT),
        (L.ELU(), "left_affine"),
    ):
        inputs = keras.Input(IMAGE)
        x = L.BatchNormalization()(keras.ops.tanh(inputs))
        model = randomise(keras.Model(inputs, [L.Conv2D(3, (2, 1))(x), second(x)]))
        assert actions(assert_folds(model)) == [action]


def test_an_output_keeps_its_map() -> None:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization()(keras.ops.tanh(inputs))
    folded = assert_folds(randomise(keras.Model(inputs, [x, L.Conv2D(3, 2)(x)])))
    assert actions(folded) == ["left_affine"] and "output of the model" in folded.plan[0].reason


def test_a_part_of_a_concatenation_folds_into_the_next_layer() -> None:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization()(keras.ops.tanh(inputs))
    joined = L.Concatenate()([keras.ops.sin(inputs), x, keras.ops.cos(inputs)])
    folded = assert_folds(randomise(keras.Model(inputs, L.Conv2D(3, (2, 3))(joined))))
    assert actions(folded) == [FORWARD]


def test_a_scale_goes_through_a_product_and_leaves_the_shift() -> None:
    inputs = keras.Input(IMAGE)
    x = L.Multiply()([L.BatchNormalization()(keras.ops.tanh(inputs)), keras.ops.sigmoid(inputs)])
    folded = assert_folds(randomise(keras.Model(inputs, L.Conv2D(3, 2)(x))))
    assert actions(folded) == [SHIFT] and kinds(folded.model) == ["Tanh", "Add", "Sigmoid", "Multiply", "Conv2D"]


def test_two_parts_of_a_concatenation_fold_one_after_the_other() -> None:
    inputs = keras.Input(IMAGE)
    parts = [L.BatchNormalization()(keras.ops.tanh(inputs)), L.BatchNormalization()(keras.ops.sin(inputs))]
    folded = assert_folds(randomise(keras.Model(inputs, L.Conv2D(3, (2, 3))(L.Concatenate()(parts)))))
    assert actions(folded) == [FORWARD] * 2


def test_a_host_that_is_reached_along_two_paths_absorbs_both_maps() -> None:
    inputs = keras.Input(IMAGE)
    x = L.BatchNormalization()(keras.ops.tanh(inputs))
    model = keras.Model(inputs, L.Conv2D(3, 2)(L.Concatenate()([x, L.AveragePooling2D(1)(x)])))
    assert actions(assert_folds(randomise(model))) == [FORWARD]


def test_a_dynamic_size_folds_through_pooling_and_not_through_flatten() -> None:
    inputs = keras.Input((None, None, 4))
    x = L.BatchNormalization()(keras.ops.tanh(inputs))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    assert actions(assert_folds(randomise(model))) == [FORWARD]
