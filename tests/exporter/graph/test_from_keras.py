from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import Ref, float32_only, rebuild, trace
from foldserve_exporter.naming import NamedModel
from tests.exporter.models import flat, randomise, samples, snapshot

L = keras.layers


def backbone(name: str = "backbone") -> Any:
    inputs = keras.Input((8, 6, 3))
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, (3, 2), name="conv")(inputs))
    return keras.Model(inputs, L.Dropout(0.5)(L.ReLU(name="act")(x)), name=name)


def nested(training: bool | None = None) -> Any:
    inputs = keras.Input((8, 6, 3), name="image")
    inner = keras.Sequential([backbone(), L.Flatten(name="flat")], name="inner")
    x = inner(inputs, training=training)
    return keras.Model(inputs, L.Dense(3, name="probs")(x + 1.0), name="outer")


def paths(model: Any) -> list[str]:
    return [node.op.path for node in trace(model).nodes]


def assert_rebuilds(model: Any, inputs: Any = None) -> Any:
    randomise(model)
    inputs = samples(model) if inputs is None else inputs
    before = snapshot(model)
    again, wide = rebuild(trace(model)), rebuild(trace(model), "float64")
    assert snapshot(model) == before
    expected = flat(model.predict(inputs, verbose=0))
    for original, rebuilt, exact in zip(
        expected, flat(again(inputs, training=False)), flat(wide(inputs, training=False)), strict=True
    ):
        np.testing.assert_allclose(rebuilt, original, rtol=1e-5, atol=1e-5 * np.abs(original).max())
        np.testing.assert_allclose(exact, original, rtol=1e-4, atol=1e-5 * np.abs(original).max())
        assert exact.dtype == np.float64 or not np.issubdtype(original.dtype, np.floating)
    return again


def test_nested_models_become_flat_with_paths() -> None:
    names = ["inner/backbone/conv", "inner/backbone/bn", "inner/backbone/act", "inner/flat"]
    assert paths(nested())[:4] == names
    assert_rebuilds(nested())


def test_a_baked_phase_is_remembered_on_every_layer_it_holds_for_and_stripped() -> None:
    graph = trace(nested(training=True))
    assert [node.training for node in graph.batch_norms] == [True]
    assert not any("training" in node.kwargs for node in graph.nodes)
    inputs = keras.Input((3,))
    own = keras.Model(inputs, L.BatchNormalization()(inputs, training=False))
    assert [node.training for node in trace(own).batch_norms] == [False]


def test_dropout_noise_and_augmentation_are_gone() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            L.RandomFlip(),
            L.RandomRotation(0.2),
            L.GaussianNoise(1.0),
            L.Conv2D(4, 3),
            L.SpatialDropout2D(0.5),
            L.ActivityRegularization(0.1),
            L.Dropout(0.5),
        ]
    )
    assert [node.op.kind.__name__ for node in trace(model).nodes] == ["Conv2D"]
    assert_rebuilds(model)


def test_dropout_inside_layers_is_disabled() -> None:
    inputs = keras.Input((7, 6))
    x = L.MultiHeadAttention(2, 3, dropout=0.5)(inputs, inputs)
    x = L.Bidirectional(L.LSTM(4, dropout=0.5, recurrent_dropout=0.5))(x)
    assert_rebuilds(keras.Model(inputs, x))


def test_dropout_is_disabled_inside_custom_layers_that_take_no_phase() -> None:
    @keras.saving.register_keras_serializable("trace")
    class Encoder(keras.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.steps = L.LSTM(4, dropout=0.5, recurrent_dropout=0.3)

        def build(self, shape: Any) -> None:
            self.steps.build(shape)

        def call(self, x: Any) -> Any:
            return self.steps(x)

    class Direct(Encoder):
        def call(self, x: Any) -> Any:
            return tf.tanh(self.steps(x))

    for kind in (Encoder, Direct):
        inputs = keras.Input((7, 6))
        model = assert_rebuilds(keras.Model(inputs, kind()(inputs)))
        rows = np.random.default_rng(0).normal(size=(3, 7, 6)).astype(np.float32)
        np.testing.assert_array_equal(flat(model(rows, training=True))[0], flat(model(rows, training=False))[0])


def test_a_shared_layer_stays_shared() -> None:
    conv, inputs = L.Conv2D(3, 3, padding="same", name="conv"), keras.Input((8, 6, 3))
    model = keras.Model(inputs, L.Add()([conv(inputs), conv(conv(inputs))]))
    nodes = [node for node in trace(model).nodes if node.op.name == "conv"]
    assert len({id(node.op) for node in nodes}) == 1 and [node.call for node in nodes] == [0, 1, 2]
    assert len(assert_rebuilds(model).weights) == 2


def test_a_shared_nested_model_stays_shared() -> None:
    inner, a, b = backbone(), keras.Input((8, 6, 3), name="a"), keras.Input((8, 6, 3), name="b")
    model = keras.Model([a, b], L.Concatenate()([inner(a), inner(b)]))
    assert len(assert_rebuilds(model).weights) == len(model.weights)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_rebuilt_in_the_requested_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((8, 6, 3)), backbone(), L.Flatten(), L.Dense(3)])
    finally:
        keras.config.set_dtype_policy("float32")
    randomise(model)
    again = rebuild(trace(model))
    assert {v.dtype for v in again.variables} == {"float32"} and again.output.dtype == "float32"
    x = samples(again)
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(model(x), np.float32), rtol=0.1, atol=0.3)


def test_integer_inputs_stay_integer() -> None:
    inputs = keras.Input((8, 6, 3), dtype="uint8", name="pixels")
    model = keras.Model(inputs, backbone()(L.Rescaling(1 / 127.5, offset=-1)(inputs)))
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3)).astype(np.uint8)
    assert assert_rebuilds(model, x).input.dtype == "uint8"


def test_a_nested_model_fed_with_integers_casts_them() -> None:
    inputs = keras.Input((8, 6, 3), dtype="uint8")
    model = keras.Model(inputs, backbone()(inputs))
    assert_rebuilds(model, np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3)).astype(np.uint8))


def test_raw_operations_and_constants_survive() -> None:
    inputs = keras.Input((8, 6, 3))
    x = keras.ops.concatenate([inputs[:, 1:, :, :2], keras.ops.relu(inputs)[:, 1:]], axis=-1) * np.float32(0.3)
    x = keras.ops.add(x, np.arange(5, dtype=np.float32))
    assert_rebuilds(keras.Model(inputs, keras.ops.mean(x, axis=(1, 2))))


def test_an_adapted_normalization_keeps_its_statistics() -> None:
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs))
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(np.asarray(rebuild(trace(model))(x)), np.asarray(model(x)), rtol=1e-6)


def test_a_model_that_returns_its_input_is_a_model() -> None:
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, L.Dropout(0.5)(inputs))
    assert trace(model).output_refs == (Ref(-1, 0),)
    assert_rebuilds(model)


def test_a_lambda_is_carried_over() -> None:
    inputs = keras.Input((4,))
    assert_rebuilds(keras.Model(inputs, L.Lambda(lambda x: x * 2)(L.Dense(3)(inputs))))


class Block(keras.Model):
    """Subclassed, with a phase written into its code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = L.Conv2D(4, 3), L.BatchNormalization(), L.Dropout(0.5)
        self.head = L.Dense(2)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.head(keras.ops.mean(self.drop(self.bn(self.conv(x), training=True)), axis=(1, 2)))


def test_a_subclassed_model_is_read_through_its_call() -> None:
    model = Block()
    x = np.random.default_rng(0).normal(size=(4, 8, 6, 3)).astype(np.float32)
    model(x)
    before = snapshot(randomise(model))
    graph = trace(model)
    assert snapshot(model) == before
    assert [node.op.path for node in graph.batch_norms] == [model.bn.name]
    assert graph.batch_norms[0].training is True
    assert graph.input_names == ("input",) and graph.output_names == ("output",)
    again = rebuild(graph)
    plain = keras.Sequential([model.conv, model.bn, L.GlobalAveragePooling2D(), model.head])
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(plain(x)), rtol=1e-4, atol=1e-5)


def test_a_subclassed_model_keeps_the_structure_of_its_tensors() -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.bn = L.Dense(4), L.Dense(4), L.BatchNormalization()

        def call(self, inputs: Any) -> Any:
            return {"one": self.bn(self.left(inputs[0])), "two": self.bn(self.right(inputs[1]))}

    model = Two()
    rows = [np.random.default_rng(0).normal(size=(4, n)).astype(np.float32) for n in (3, 5)]
    model(rows)
    randomise(model)
    graph = trace(model)
    assert graph.input_names == ("input", "input_1") and graph.output_names == ("one", "two")
    got, expected = rebuild(graph)(rows, training=False), model(rows)
    for key in ("one", "two"):
        np.testing.assert_allclose(np.asarray(got[key]), np.asarray(expected[key]), rtol=1e-5, atol=1e-6)


def test_a_custom_layer_that_hides_batch_normalization_is_opened() -> None:
    class Cell(keras.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = L.BatchNormalization()

        def build(self, shape: Any) -> None:
            self.inner.build(shape)

        def call(self, x: Any) -> Any:
            return keras.ops.relu(self.inner(x))

    inputs = keras.Input((8, 6, 3))
    cell = Cell(name="cell")
    model = keras.Model(inputs, cell(inputs))
    assert paths(model)[0] == f"cell/{cell.inner.name}"
    assert_rebuilds(model)


@pytest.mark.parametrize("shape", [(4, 6), (1, 6)])
def test_a_batch_fixed_above_one_is_refused(shape: tuple[int, int]) -> None:
    inputs = keras.Input(batch_shape=shape, name="x")
    model = keras.Model(inputs, L.Dense(2)(inputs))
    if shape[0] == 1:
        assert trace(model).inputs[0].shape == (None, 6)
    else:
        with pytest.raises(Refused, match="x: the batch is fixed to 4"):
            trace(model)


def fitted(model: Any, rows: np.ndarray) -> None:
    model.compile("sgd", "mse")
    model.fit(rows, np.zeros((len(rows), 3), np.float32), batch_size=4, verbose=0)


@pytest.mark.parametrize("build", [lambda model, rows: model(rows[:2]), fitted, lambda model, rows: model(rows[:1])])
def test_a_sequential_without_an_input_layer_takes_any_batch(build: Callable[[Any, np.ndarray], Any]) -> None:
    model = keras.Sequential([L.Conv2D(4, (3, 2)), L.BatchNormalization(), L.Flatten(), L.Dense(3)])
    rows = np.random.default_rng(3).normal(size=(8, 7, 6, 2)).astype(np.float32)
    build(model, rows)
    assert [node.outputs[0].shape[0] for node in trace(model).nodes] in ([None] * 4, [1] * 4)
    assert_rebuilds(model, rows[:5])
    inputs = keras.Input((7, 6, 2))
    assert_rebuilds(keras.Model(inputs, L.Dense(2)(model(inputs))), rows[:5])


def test_a_sequential_that_counts_on_its_batch_is_refused() -> None:
    class Pairs(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.reshape(x, (2, 6))

    model = keras.Sequential([L.Dense(6), Pairs(), L.Dense(3)])
    model(np.zeros((2, 8), np.float32))
    with pytest.raises(Refused, match="the batch"):
        graph = trace(model)
        NamedModel.of(rebuild(graph), graph).signature()


def test_a_sequential_without_shapes_is_refused(tmp_path: Path) -> None:
    pairs = L.Lambda(lambda x: keras.ops.reshape(x, (2, 6)))
    model = keras.Sequential([L.Dense(6), pairs, L.Dense(3)])
    model(np.zeros((2, 8), np.float32))
    model.save(tmp_path / "pairs.keras")
    with pytest.raises(Refused, match="the shapes of its outputs cannot be inferred"):
        trace(keras.saving.load_model(tmp_path / "pairs.keras", safe_mode=False))


def test_string_inputs_are_refused() -> None:
    inputs = keras.Input((1,), dtype="string", name="words")
    model = keras.Model(inputs, L.Identity(dtype="string")(inputs))
    with pytest.raises(Refused, match="words: string"):
        trace(model)


def test_a_stateful_recurrent_layer_is_refused() -> None:
    inputs = keras.Input(batch_shape=(1, 5, 3))
    model = keras.Model(inputs, L.LSTM(2, stateful=True, name="memory")(inputs))
    with pytest.raises(Refused, match="memory: a stateful"):
        trace(model)


def test_a_model_that_was_never_built_is_refused() -> None:
    with pytest.raises(Refused, match="never built"):
        trace(keras.Sequential([L.Dense(2)], name="bare"))


def test_a_class_that_cannot_be_read_nor_made_again_is_refused_by_name() -> None:
    class Raw(keras.Model):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.bn = L.BatchNormalization()

        def call(self, x: Any) -> Any:
            return tf.nn.relu(self.bn(x))

    model = Raw(name="raw")
    model(np.ones((2, 3), np.float32))
    with pytest.raises(Refused, match=r"raw: Raw has no get_config\(\)"):
        trace(model)


def test_a_layer_without_configuration_is_refused_by_name() -> None:
    class Odd(keras.layers.Layer):
        def __init__(self, thing: object, /) -> None:
            super().__init__(name="odd")

        def call(self, x: Any) -> Any:
            return x * 2

    inputs = keras.Input((4,))
    with pytest.raises(Refused, match=r"odd.*get_config"):
        rebuild(trace(keras.Model(inputs, Odd(object())(inputs))))


@pytest.mark.parametrize("axis", [None, 0])
def test_an_output_without_a_row_for_each_sample_is_refused(axis: int | None) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.mean(inputs, axis=axis))
    with pytest.raises(Refused, match=r"mean.*first dimension is not the batch"):
        trace(model)


def test_code_that_takes_float32_alone_gets_it_in_the_reference_too() -> None:
    inputs = keras.Input((4,))
    narrow = L.Lambda(lambda x: x * tf.constant([1.0, 2.0, 3.0]), name="narrow")
    model = keras.Model(inputs, L.Dense(2)(narrow(L.Dense(3)(inputs))))
    assert float32_only(trace(model)) == ("narrow",)
    assert_rebuilds(model)


def test_what_computes_in_float32_is_named() -> None:
    inputs = keras.Input((6, 6, 6, 3))
    model = keras.Model(inputs, L.Dense(3)(L.AveragePooling3D(2, name="pool")(inputs)))
    assert float32_only(trace(model)) == ("pool",)
    assert_rebuilds(model)
