"""Layers and calls of Keras 2 compute in Keras 3 what they computed there."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.graph import trace
from foldserve_exporter.load.legacy.agreement import require_agreement
from foldserve_exporter.load.legacy.convert import convert
from foldserve_exporter.load.legacy.custom import CustomObjects
from foldserve_exporter.load.loader import load_model

from .old_files import old_keras, randomise, saved

with old_keras() as tf_keras:
    L = tf_keras.layers


def stack(shape: tuple[int, ...], *layers: Any) -> Any:
    return tf_keras.Sequential([L.Input(shape), *layers])


def merged() -> Any:
    left, right, dense = L.Input((6,), name="left"), L.Input((6,), name="right"), L.Dense(6, name="shared")
    pair = [dense(left), dense(right)]
    kinds = (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Subtract, L.Concatenate)
    joined = L.Concatenate(name="all")([*(kind()(pair) for kind in kinds), L.Dot(1, normalize=True)(pair)])
    return tf_keras.Model([left, right], joined)


def shared_backbone() -> Any:
    left, right = L.Input((8, 9, 3)), L.Input((8, 9, 3))
    backbone = stack((8, 9, 3), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten())
    return tf_keras.Model([left, right], L.Subtract()([backbone(left), backbone(right)]))


def nested_with_several_tensors() -> Any:
    left, right, entry = L.Input((8,)), L.Input((8,)), L.Input((8,))
    inner = tf_keras.Model([left, right], [L.Dense(3)(left), L.BatchNormalization()(right)])
    return tf_keras.Model(entry, L.Concatenate()(inner([entry, L.Dense(8)(entry)])))


def attending() -> Any:
    entry = L.Input((6, 8))
    x = L.LayerNormalization()(L.Add()([L.MultiHeadAttention(2, 4)(entry, entry), entry]))
    return tf_keras.Model(entry, [L.GlobalAveragePooling1D()(x), L.Attention(use_scale=True)([x, x])])


def with_states() -> Any:
    entry = L.Input((7, 5))
    _, *states = L.LSTM(4, return_state=True)(entry)
    return tf_keras.Model(entry, L.LSTM(4)(entry, initial_state=states))


def clashing_names() -> Any:
    entry = L.Input((4,))
    x = L.Multiply(name="multiply")([entry, entry])
    return tf_keras.Model(entry, (x * 2.0) * L.Dense(4, name="a/b")(entry))


def normalized() -> Any:
    model = stack((8,), L.Normalization(), L.Dense(3))
    model.layers[0].adapt(np.random.default_rng(5).normal(2, 3, (50, 8)))
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "lstm with the hard sigmoid": lambda: stack((7, 5), L.LSTM(4, recurrent_activation="hard_sigmoid")),
    "gru of Keras 2.1": lambda: stack((7, 5), L.GRU(4, recurrent_activation="hard_sigmoid", reset_after=False)),
    "gru": lambda: stack((7, 5), L.GRU(4, return_sequences=True), L.BatchNormalization()),
    "bidirectional": lambda: stack(
        (7, 5),
        L.Bidirectional(L.GRU(4), backward_layer=L.LSTM(3, recurrent_activation="hard_sigmoid", go_backwards=True)),
    ),
    "convolutional lstm": lambda: stack((3, 6, 7, 2), L.ConvLSTM2D(4, 3), L.BatchNormalization()),
    "distributed over time": lambda: stack(
        (3, 6, 7, 2), L.TimeDistributed(L.Conv2D(4, 3)), L.TimeDistributed(L.BatchNormalization())
    ),
    "a model distributed over time": lambda: stack(
        (3, 6, 7, 2), L.TimeDistributed(stack((6, 7, 2), L.Conv2D(4, 3), L.BatchNormalization()))
    ),
    "volumes": lambda: stack(
        (5, 6, 7, 2), L.Conv3D(4, 2), L.BatchNormalization(), L.Conv3DTranspose(3, 2), L.UpSampling3D(2)
    ),
    "sequences": lambda: stack(
        (12, 3), L.Conv1D(4, 3, dilation_rate=2), L.SeparableConv1D(5, 3), L.DepthwiseConv1D(3), L.Conv1DTranspose(3, 2)
    ),
    "groups": lambda: stack(
        (8, 9, 4), L.Conv2D(8, 3, groups=2, strides=2, padding="same"), L.BatchNormalization(), L.Permute((3, 1, 2))
    ),
    "activations": lambda: stack(
        (8,), L.Dense(6, activation="selu"), L.ReLU(6.0, negative_slope=0.1), L.Dense(5, activation=L.LeakyReLU(0.2)),
        L.Dense(5, activation="gelu"), L.Activation("hard_sigmoid"), L.Dense(4, activation="swish"), L.PReLU(),
        L.ELU(0.5),
    ),
    "what is silent": lambda: stack(
        (8, 9, 3), L.GaussianNoise(1.0), L.AlphaDropout(0.2), L.SpatialDropout2D(0.2), L.RandomFlip(),
        L.RandomZoom(0.1),
        L.ActivityRegularization(0.1), L.Rescaling(1 / 127.5, -1), L.Resizing(6, 6),
        L.Conv2D(3, 3, kernel_regularizer="l2"),
    ),
    "renorm": lambda: stack((8, 9, 3), L.Conv2D(3, 3), L.BatchNormalization(renorm=True)),
    "ghost batches": lambda: stack((8, 9, 3), L.Conv2D(3, 3), L.BatchNormalization(synchronized=True)),
    "norms": lambda: stack((6, 7, 4), L.LayerNormalization(), L.GroupNormalization(2), L.UnitNormalization()),
    "merged": merged,
    "shared backbone": shared_backbone,
    "several tensors": nested_with_several_tensors,
    "attention": attending,
    "states": with_states,
    "names": clashing_names,
    "normalized": normalized,
}  # fmt: skip


def answers(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(tensor) for tensor in (outputs if isinstance(outputs, list | tuple) else [outputs])]


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_same(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    if name != "normalized":
        randomise(model)
    loaded = load_model(saved(model, tmp_path / "model.h5")).model
    generator = np.random.default_rng(2)
    inputs = [generator.normal(size=(3, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    for got, expected in zip(answers(loaded, inputs), answers(model, inputs), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6 * max(1.0, np.abs(expected).max()))
    assert trace(loaded).nodes


@pytest.mark.parametrize("ending", [".keras", ""])
def test_the_way_of_saving_makes_no_difference(ending: str, tmp_path: Path) -> None:
    model = randomise(nested_with_several_tensors())
    loaded = load_model(saved(model, tmp_path / f"model{ending}")).model
    x = [np.random.default_rng(2).normal(size=(3, 8)).astype(np.float32)]
    np.testing.assert_allclose(answers(loaded, x)[0], answers(model, x)[0], atol=1e-5)


@pytest.mark.parametrize("ending", [".keras", ".h5", ""])
def test_a_sequential_without_an_input_layer_takes_any_batch(ending: str, tmp_path: Path) -> None:
    inner = tf_keras.Sequential([L.Dense(6), L.BatchNormalization()])
    model = tf_keras.Sequential([inner, L.ReLU(), L.Dense(3)])
    rows = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
    model(rows[:2])
    loaded = load_model(saved(randomise(model), tmp_path / f"model{ending}")).model
    assert trace(loaded).inputs[0].shape == (None, 8)
    np.testing.assert_allclose(answers(loaded, [rows])[0], answers(model, [rows])[0], atol=1e-5)


def test_tokens_are_looked_up(tmp_path: Path) -> None:
    model = randomise(stack((9,), L.Embedding(20, 6, mask_zero=True), L.LSTM(3)))
    loaded = load_model(saved(model, tmp_path / "model.h5")).model
    x = [np.random.default_rng(2).integers(0, 20, (3, 9)).astype(np.float32)]
    np.testing.assert_allclose(answers(loaded, x)[0], answers(model, x)[0], atol=1e-6)


def test_mixed_precision_becomes_float32(tmp_path: Path) -> None:
    policy = tf_keras.mixed_precision.Policy("mixed_float16")
    model = randomise(stack((8, 9, 3), L.Conv2D(3, 3, dtype=policy), L.BatchNormalization(dtype=policy)))
    loaded = load_model(saved(model, tmp_path / "mixed.h5")).model
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    x = [np.random.default_rng(2).normal(size=(3, 8, 9, 3)).astype(np.float32)]
    np.testing.assert_allclose(answers(loaded, x)[0], answers(model, x)[0], atol=0.02)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: L.LocallyConnected1D(3, 2, name="local"), "'local'.*LocallyConnected1D"),
        (lambda: L.RNN(L.LSTMCell(3), name="cells"), "'cells' is an RNN over cells"),
        (lambda: L.SimpleRNN(3, activation="hard_sigmoid", name="old"), "'old'.*hard_sigmoid"),
    ],
)
def test_a_layer_without_counterpart_is_refused_by_name(layer: Callable[[], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=message):
        load_model(saved(stack((7, 5), layer()), tmp_path / "model.h5"))


def spoil_weight(model: Any) -> None:
    kernel = model.get_layer("conv").kernel
    kernel.assign(kernel.numpy() + 0.01 * (np.arange(kernel.numpy().size) == 7).reshape(kernel.shape))


def spoil_order(model: Any) -> None:
    bn = model.get_layer("bn")
    gamma, beta = bn.gamma.numpy(), bn.beta.numpy()
    bn.gamma.assign(beta)
    bn.beta.assign(gamma)


def spoil_epsilon(model: Any) -> None:
    model.get_layer("bn").epsilon = 2e-3


def spoil_with_nan(model: Any) -> None:
    beta = model.get_layer("bn").beta
    beta.assign(np.full(beta.shape, np.nan))


def spoil_activation(model: Any) -> None:
    model.get_layer("conv").activation = lambda x: x * 0.999


@pytest.mark.parametrize(
    "spoil",
    [None, spoil_weight, spoil_order, spoil_epsilon, spoil_with_nan, spoil_activation],
    ids=lambda spoil: getattr(spoil, "__name__", "none"),
)
def test_a_conversion_that_computes_anything_else_is_detected(spoil: Callable[[Any], None] | None) -> None:
    """The only output is saturated, so that most faults do not show there."""
    layers = [L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="bn"), L.Flatten(), L.Dense(1), L.Softmax()]
    old = randomise(stack((6, 7, 2), *layers))
    converted = convert(old, Path("model.h5"), CustomObjects())
    if spoil is None:
        require_agreement(old, converted, Path("model.h5"))
        return
    spoil(converted.model)
    with pytest.raises(CannotLoad, match=r"'(conv|bn)' answers"):
        require_agreement(old, converted, Path("model.h5"))


CUSTOM = """
import keras, tf_keras

@tf_keras.saving.register_keras_serializable("mine", "Shift")
class OldShift(tf_keras.layers.Layer):
    def call(self, x):
        return x + 1.5

@keras.saving.register_keras_serializable("mine", "Shift")
class Shift(keras.layers.Layer):
    def call(self, x):
        return x + SHIFT
"""


@pytest.mark.parametrize("shift", [1.5, 1.6])
def test_a_class_registered_with_both_is_used_and_compared_with_its_older_self(
    shift: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"shift_{int(shift * 10)}"
    (tmp_path / f"{module}.py").write_text(CUSTOM.replace("SHIFT", str(shift)))
    monkeypatch.syspath_prepend(tmp_path)
    model = stack((4,), L.Dense(3), importlib.import_module(module).OldShift(name="shift"))
    for ending in (".h5", ".keras"):
        path = saved(randomise(model), tmp_path / f"custom{ending}")
        with pytest.raises(Refused, match=r"'shift'.*--custom-objects"):
            load_model(path)
        if shift != 1.5:
            with pytest.raises(CannotLoad, match=r"'shift' answers 0\.1 off"):
                load_model(path, custom_objects=(module,))
            continue
        x = [np.ones((2, 4), np.float32)]
        loaded = load_model(path, custom_objects=(module,)).model
        np.testing.assert_allclose(answers(loaded, x)[0], answers(model, x)[0], atol=1e-6)
