"""BatchNormalization in code that no graph can be made of: TensorFlow's own functions, and what depends on values."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from foldserve_contract.bundle import Bundle
from foldserve_exporter import export_model
from foldserve_exporter.emit.purity import require_pure
from foldserve_exporter.emit.saved_model import serving_function, write_saved_model
from foldserve_exporter.errors import Refused
from foldserve_exporter.folding import Folded, fold
from foldserve_exporter.folding.fold_model import fold_graph
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.recalibration.recalibrate import recalibrate
from foldserve_exporter.tracing import traced
from tests.exporter.models import actions, flat, misses, randomise, reference, snapshot

L = keras.layers


class Block(keras.layers.Layer):
    """Insists on batch statistics and on dropout, and decides by values, which TensorFlow alone can read."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = L.Dense(units)
        self.parts = {"norm": L.BatchNormalization(epsilon=2e-2, name="norm"), "drop": L.Dropout(0.5)}

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}

    def build(self, shape: Any) -> None:
        self.dense.build(shape)
        self.parts["norm"].build((*shape[:-1], self.units))

    @tf.function
    def call(self, x: Any, training: bool | None = None) -> Any:
        y = self.parts["norm"](self.dense(x), training=True)
        if tf.reduce_max(y) > 1e6:
            y = y / 2.0
        return tf.nn.tanh(self.parts["drop"](y, training=True))


class Outer(keras.layers.Layer):
    """Makes its layers when it is built, one of them such a block."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.block = Block(self.units, name="block")
        self.block.build(shape)
        self.norm = L.BatchNormalization(scale=False, name="outer_norm")
        self.norm.build((*shape[:-1], self.units))

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}

    def call(self, x: Any) -> Any:
        return tf.nn.relu(self.norm(self.block(x), training=True))


class Chosen(keras.layers.Layer):
    """Two functions that close over tensors."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = L.BatchNormalization(name="norm")

    def build(self, shape: Any) -> None:
        self.norm.build(shape)

    def call(self, x: Any) -> Any:
        return keras.ops.cond(keras.ops.max(x) > 1e6, lambda: x * 3.0, lambda: self.norm(x, training=True))


class Whole(keras.Model):
    """A model as a class."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block, self.norm, self.scores = Block(5, name="block"), L.BatchNormalization(name="norm"), L.Dense(3)

    def call(self, x: Any) -> Any:
        return {"scores": self.scores(tf.nn.relu(self.norm(self.block(x))))}

    def get_config(self) -> Any:
        return {"name": self.name}


@keras.saving.register_keras_serializable("unreadable")
class Cell(keras.layers.SimpleRNNCell):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.norm = L.BatchNormalization(name="inner_norm")

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.norm.build((None, self.units))

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        output, states = super().call(x, states, training=training)
        return self.norm(output, training=True), states


def of(layer: Any, shape: tuple[int | None, ...] = (7,)) -> Any:
    inputs = keras.Input(shape, name="x")
    return randomise(keras.Model(inputs, L.Dense(3, name="scores")(layer(L.Dense(6)(inputs)))))


def whole() -> Any:
    model = Whole()
    model(np.zeros((2, 7), np.float32))
    return randomise(model)


def served(model: Any) -> NamedModel:
    graph, _ = fold_graph(trace(model))
    return NamedModel.of(rebuild(graph), graph)


def write(model: NamedModel, directory: Path) -> None:
    function = serving_function(model, model.signature())
    require_pure(function)
    write_saved_model(function, model, directory)


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(6, *shape)).astype(np.float32)


def assert_leaves_affines(model: Any, x: np.ndarray) -> Folded:
    """Fold it and hold it, in both phases, against the float64 reference on moving statistics."""
    before = snapshot(model)
    exact, folded = reference(model, x), fold(model)
    served, trained = (flat(folded.model(x, training=phase)) for phase in (False, True))
    assert snapshot(model) == before
    assert not misses(served, exact, exact)
    assert all(np.array_equal(a, b) for a, b in zip(served, trained, strict=True))
    assert set(actions(folded)) == {"left_affine"}
    return folded


def normalized(x: np.ndarray, norm: Any) -> Any:
    """The formula on moving statistics, in float64."""
    held = {variable.name: variable.numpy().astype(np.float64) for variable in norm.weights}
    spread = np.sqrt(held["moving_variance"] + norm.epsilon)
    return held.get("gamma", 1.0) * (x - held["moving_mean"]) / spread + held["beta"]


def dense(x: np.ndarray, layer: Any) -> np.ndarray:
    kernel, bias = (np.asarray(value, np.float64) for value in layer.get_weights())
    return x @ kernel + bias


def test_a_layer_with_a_baked_training_phase_answers_by_moving_statistics() -> None:
    model, x = of(Outer(5, name="outer"), (7,)), rows(7)
    first, outer, last = model.layers[1:]
    hidden = np.tanh(normalized(dense(dense(x, first), outer.block.dense), outer.block.parts["norm"]))
    expected = dense(np.maximum(normalized(hidden, outer.norm), 0), last)
    folded = assert_leaves_affines(model, x)
    np.testing.assert_allclose(flat(folded.model(x))[0], expected, atol=2e-6 * np.abs(expected).max())
    assert [entry.bn for entry in folded.plan] == ["outer/block/norm", "outer/outer_norm"]
    assert "call() of Outer cannot be read" in folded.plan[0].reason
    assert "keras.ops" in folded.plan[0].reason


def test_a_layer_that_is_called_twice_has_an_entry_for_each_call() -> None:
    block, inputs = Block(6, name="block"), keras.Input((6,))
    model = randomise(keras.Model(inputs, L.Add()([block(inputs), block(L.Dense(6)(inputs))])))
    folded = assert_leaves_affines(model, rows(6))
    assert [(entry.bn, entry.call) for entry in folded.plan] == [("block/norm", 0), ("block/norm", 1)]


def test_functions_that_close_over_tensors_are_not_mistaken_for_constants() -> None:
    assert_leaves_affines(of(Chosen(name="chosen")), rows(7))


def test_a_model_that_is_a_class_is_left_whole_where_it_cannot_be_read() -> None:
    folded = assert_leaves_affines(whole(), rows(7))
    assert sorted(entry.bn for entry in folded.plan) == ["whole/block/norm", "whole/norm"]


def test_a_normalization_in_a_recurrent_cell_becomes_an_affine_map_there() -> None:
    folded = assert_leaves_affines(of(L.RNN(Cell(4), name="recurrent"), (5, 3)), rows(5, 3))
    assert folded.plan[0].bn == "recurrent/cell/inner_norm"


def test_in_a_time_distributed_under_a_mask_it_stays_as_an_affine_map() -> None:
    step = keras.Sequential([keras.Input((7,)), L.Dense(4), L.BatchNormalization(name="bn")])
    inputs = keras.Input((4, 7))
    model = keras.Model(inputs, L.TimeDistributed(step, name="steps")(L.Masking()(inputs)))
    assert_leaves_affines(randomise(model), rows(4, 7))


def test_statistics_that_cannot_be_folded_are_refused_by_name_there_too() -> None:
    model = of(Block(6, name="block"))
    model.get_layer("block").parts["norm"].moving_variance.assign(np.full(6, -1.0))
    with pytest.raises(Refused, match=r"block/norm: moving_variance \+ epsilon is not positive"):
        fold(model)


def test_layers_that_are_created_during_the_call_are_refused_with_the_remedy() -> None:
    class Fresh(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.nn.relu(L.BatchNormalization()(x, training=True))

    with pytest.raises(Refused, match=r"Fresh\.call\(\).*Make layers and variables in constructors"):
        traced(served(of(Fresh())), training=False)


def test_a_layer_that_updates_its_statistics_in_inference_is_refused_by_name(tmp_path: Path) -> None:
    class Moving(Chosen):
        def call(self, x: Any) -> Any:
            self.norm.moving_mean.assign(self.norm.moving_mean * 0.9)
            return tf.nn.relu(self.norm(x))

    model = of(Moving(name="moving"))
    before = snapshot(model)
    with pytest.raises(Refused, match=r"^moving: it changes a variable each time it is called"):
        write(served(model), tmp_path)
    assert snapshot(model) == before


def test_a_layer_that_is_random_in_inference_is_refused_by_name(tmp_path: Path) -> None:
    class Sampled(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + keras.random.normal(keras.ops.shape(x))

    with pytest.raises(Refused, match=r"^sampled/.*: it draws random numbers in inference"):
        write(served(of(Sampled(name="sampled"))), tmp_path)


@pytest.mark.parametrize("seeded", [True, False])
def test_a_layer_that_is_random_in_either_phase_is_refused_by_name(seeded: bool) -> None:
    class Told(keras.layers.Layer):
        def call(self, x: Any, training: bool | None = None) -> Any:
            numbers = keras.random.normal((5,), seed=1) if seeded else tf.random.normal((5,))
            return x + numbers[0]

    with pytest.raises(Refused, match=r"^told: it draws random numbers in inference"):
        served(of(Told(name="told")))


def test_dropout_with_a_baked_training_phase_is_refused_by_name() -> None:
    class Insisting(keras.layers.Dropout):
        def call(self, inputs: Any) -> Any:
            return super().call(inputs, training=True)

    with pytest.raises(Refused, match=r"mc: Insisting is a Dropout with a call\(\) of its own"):
        fold(of(Insisting(0.5, name="mc")))


def test_recalibration_is_refused_where_the_inputs_cannot_be_observed() -> None:
    with pytest.raises(Refused, match="block: what reaches the BatchNormalization in it cannot be seen"):
        recalibrate(of(Block(6, name="block")), np.zeros((40, 7), np.float32))


def test_no_model_file_is_kept_that_would_bring_it_back(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--keep-keras: block stays a class of your own"):
        export_model(of(Block(6, name="block")), tmp_path, "block", keep_keras=True)


@pytest.mark.slow
def test_both_artifacts_answer_in_fresh_processes_and_hold_no_normalization(tmp_path: Path) -> None:
    exported = export_model(of(Outer(5, name="outer")), tmp_path, "outer", golden=2)
    assert [c.name for c in exported.report.verification.candidates if "Keras" in c.name] == []
    assert {e.action for e in Bundle.open(exported.path).manifest.fold} == {"left_affine"}
    nodes = onnx.load(exported.path / "model.onnx").graph.node
    assert not {node.op_type for node in nodes} & {"BatchNormalization", "Sqrt", "Rsqrt", "RandomUniform"}


FUNCTIONS = {
    "a loop": lambda x: keras.ops.fori_loop(0, 3, lambda _, y: y * 0.5, x),
    "a loop until": lambda x: keras.ops.while_loop(lambda y: keras.ops.max(y) > 1, lambda y: y * 0.5, (x,))[0],
    "a map": lambda x: keras.ops.vectorized_map(lambda row: row * 2, x),
    "a scan": lambda x: keras.ops.scan(lambda c, y: (c + y, c), x[:, 0], keras.ops.transpose(x))[0],
    "a switch": lambda x: keras.ops.switch(keras.ops.cast(x[0, 0], "int32"), [lambda y: y, lambda y: -y], x),
}


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_given_to_an_operation_of_a_functional_model_are_refused_by_name(name: str, is_nested: bool) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, FUNCTIONS[name](L.BatchNormalization()(inputs)), name="ruled")
    if is_nested:
        outer = keras.Input((4,))
        model = keras.Model(outer, model(outer))
    with pytest.raises(Refused, match=r"^ruled: it gives functions to '\w+', a \w+ of keras.ops.*get_config"):
        trace(model)
