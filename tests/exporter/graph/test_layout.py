"""Channels-first models against channels-last twins: TensorFlow itself cannot run them on a CPU."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.folding import fold
from foldserve_exporter.graph import rebuild, trace
from tests.exporter.models import actions, kinds, randomise

L = keras.layers
FIRST, LAST = "channels_first", "channels_last"
Build = Callable[[Any, str, int], Any]


def plain(x: Any, layout: str, axis: int) -> Any:
    x = L.Conv2D(4, (3, 2), data_format=layout)(x)
    x = L.ReLU()(L.BatchNormalization(axis=axis)(x))
    x = L.MaxPooling2D((2, 1), data_format=layout)(L.ZeroPadding2D(1, data_format=layout)(x))
    return L.Dense(3)(L.Flatten(data_format=layout)(x))


def branches(x: Any, layout: str, axis: int) -> Any:
    a = L.BatchNormalization(axis=axis)(L.DepthwiseConv2D((2, 3), padding="same", data_format=layout)(x))
    b = keras.ops.tanh(L.SeparableConv2D(4, 3, padding="same", data_format=layout)(x))
    x = L.Activation("relu")(L.BatchNormalization(axis=axis)(L.Concatenate(axis=axis)([a, b, x])))
    x = L.Conv2DTranspose(3, 2, strides=2, data_format=layout)(x)
    return L.GlobalAveragePooling2D(data_format=layout)(L.UpSampling2D(2, data_format=layout)(x))


def series(x: Any, layout: str, axis: int) -> Any:
    x = L.Conv1D(5, 3, data_format=layout)(x)
    return L.GlobalMaxPooling1D(data_format=layout)(L.BatchNormalization(axis=axis)(x))


def pair(build: Build, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """One model in both layouts with the same weights."""
    first, last = keras.Input(shape), keras.Input((*shape[1:], shape[0]))
    model = randomise(keras.Model(first, build(first, FIRST, 1)))
    twin = keras.Model(last, build(last, LAST, -1))
    twin.set_weights(model.get_weights())
    return model, twin


@pytest.mark.parametrize(
    ("build", "shape"), [(plain, (3, 9, 7)), (branches, (3, 9, 7)), (series, (3, 9))], ids=["plain", "branches", "1d"]
)
def test_a_channels_first_model_answers_as_its_twin(build: Build, shape: tuple[int, ...]) -> None:
    model, twin = pair(build, shape)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    expected = twin.predict(np.moveaxis(x, 1, -1), verbose=0)
    folded = fold(model)
    for candidate in (rebuild(trace(model), "float64")(x, training=False), folded.model(x)):
        np.testing.assert_allclose(np.asarray(candidate), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert kinds(folded.model).count("Permute") == 1
    assert set(actions(folded)) <= {"backward", "left_affine", "forward_scale_left_affine_shift"}


def test_an_image_comes_out_as_it_was_meant() -> None:
    def image(x: Any, layout: str, axis: int) -> Any:
        return L.BatchNormalization(axis=axis)(L.Conv2D(4, (3, 2), data_format=layout)(x))

    model, twin = pair(image, (3, 9, 7))
    x = np.random.default_rng(0).normal(size=(4, 3, 9, 7)).astype(np.float32)
    got = np.asarray(fold(model).model(x))
    expected = np.moveaxis(twin.predict(np.moveaxis(x, 1, -1), verbose=0), -1, 1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert kinds(fold(model).model) == ["Permute", "Conv2D", "Permute"]


def test_a_layer_that_is_not_layout_aware_gets_the_tensor_in_the_models_layout() -> None:
    def odd(x: Any, layout: str, axis: int) -> Any:
        x = L.Conv2D(4, (3, 2), data_format=layout)(x)
        x = x if layout == FIRST else L.Permute((3, 1, 2))(x)
        return L.Flatten(data_format=LAST)(L.Dense(3)(x))

    model, twin = pair(odd, (3, 9, 7))
    x = np.random.default_rng(0).normal(size=(4, 3, 9, 7)).astype(np.float32)
    expected = twin.predict(np.moveaxis(x, 1, -1), verbose=0)
    np.testing.assert_allclose(np.asarray(fold(model).model(x)), expected, rtol=1e-4, atol=1e-5)


LAST_AXIS_AS_MEANT: dict[str, Callable[[Any], Any]] = {
    "a convolution's softmax": lambda x: L.Conv2D(4, 3, activation="softmax", data_format=FIRST)(x),
    "a transposed one's": lambda x: L.Conv2DTranspose(4, 3, activation="log_softmax", data_format=FIRST)(x),
    "sparsemax": lambda x: L.Activation("sparsemax")(L.Conv2D(4, 3, data_format=FIRST)(x)),
    "softmax of each image": lambda x: L.Softmax(axis=(2, 3))(L.Conv2D(4, 3, data_format=FIRST)(x)),
    "softmax of channels and columns": lambda x: L.Softmax(axis=(1, -1))(L.Conv2D(4, 3, data_format=FIRST)(x)),
}


@pytest.mark.parametrize("name", LAST_AXIS_AS_MEANT)
def test_a_layer_that_works_along_an_axis_works_along_the_models_axis(name: str) -> None:
    inputs = keras.Input((3, 9, 7))
    model = randomise(keras.Model(inputs, LAST_AXIS_AS_MEANT[name](inputs)))
    x = np.random.default_rng(1).normal(size=(4, 3, 9, 7)).astype(np.float32)
    expected = model.predict(x, verbose=0)  # Keras transposes by itself around a two-dimensional convolution
    for candidate in (rebuild(trace(model), "float64")(x, training=False), fold(model).model(x)):
        np.testing.assert_allclose(np.asarray(candidate), expected, rtol=1e-4, atol=1e-5)


def test_a_channels_last_graph_is_left_as_it_is() -> None:
    inputs = keras.Input((9, 7, 3))
    model = keras.Model(inputs, L.Conv2D(4, 3)(inputs))
    assert kinds(rebuild(trace(model))) == ["Conv2D"]
