from typing import Any

import keras

from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.graph.unique_names import tensor_names
from foldserve_exporter.report.warnings import input_warnings

L = keras.layers


def backbone(name: str) -> Any:
    inputs = keras.Input((6,))
    return keras.Model(inputs, L.BatchNormalization(name="bn")(L.Dense(4, name="dense")(inputs)), name=name)


def names(model: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    graph = trace(model)
    return graph.input_names, graph.output_names


def test_input_and_output_layers_give_the_names() -> None:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    dense = L.Dense(2, name="probs")
    model = keras.Model([a, b], [dense(a), dense(b), L.BatchNormalization(name="norm")(b)])
    assert names(model) == (("a", "b"), ("probs", "probs_1", "norm"))


def test_a_nested_model_as_output_layer_gives_its_own_name() -> None:
    model = keras.Sequential([keras.Input((6,), name="x"), backbone("tower")])
    assert names(model) == (("x",), ("tower",))


def test_keys_of_dicts_are_names_and_structures_are_kept() -> None:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    model = keras.Model({"b": b, "a": a}, {"sum": L.Add()([a, b]), "a2": L.Dense(1)(a)})
    assert names(model) == (("a", "b"), ("a2", "sum"))
    again = rebuild(trace(model))
    assert set(again.input) == {"a", "b"} and set(again.output) == {"sum", "a2"}
    assert again.output["sum"].shape == (None, 6)


def test_an_output_is_never_called_as_an_input() -> None:
    """ONNX has one space of names for all tensors."""
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    model = keras.Model({"a": a, "b": b}, {"a": L.Dense(1)(a), "c": L.Dense(2)(b)})
    assert names(model) == (("a", "b"), ("a_1", "c"))


def test_a_list_of_a_single_tensor_stays_a_list() -> None:
    a = keras.Input((6,), name="a")
    again = rebuild(trace(keras.Model([a], [L.Dense(2)(a)])))
    assert isinstance(again.input, list) and isinstance(again.output, list)


def test_generated_names_become_plain_ones() -> None:
    assert tensor_names(["keras_tensor_12", "keras_tensor_13CLONE", "x"], "input") == ("input", "input_1", "x")
    middle = backbone("m")
    part = keras.Model(middle.get_layer("dense").output, middle.output)
    assert trace(part).input_names == ("input",)


def test_a_number_never_meets_a_name_that_is_there() -> None:
    assert tensor_names(["p", "p", "p_1"], "output") == ("p", "p_2", "p_1")


def test_layers_of_the_same_name_are_distinguished_by_their_paths() -> None:
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, L.Add(name="add")([backbone("left")(inputs), backbone("right")(inputs)]))
    again = rebuild(trace(model))
    assert [op.name for op in again.operations if op.name != "x"].count("add") == 1
    assert {op.name for op in again.operations} == {
        "x", "add", "left_dense", "left_bn", "right_dense", "right_bn"
    }  # fmt: skip


def test_an_optional_input_is_marked() -> None:
    class Joined(keras.layers.Layer):
        def call(self, x: Any, more: Any = None) -> Any:
            return x if more is None else x + more

    inputs = [keras.Input((5,), name="x"), keras.Input((5,), name="more", optional=True)]
    (warning,) = input_warnings(trace(keras.Model(inputs, Joined()(*inputs))))
    assert "input 'more' could be left out of the model; every request must give it" in warning
