"""Whole numbers are drawn within the tables that they are looked up in, wherever the way there leads."""

from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.graph import trace
from foldserve_exporter.samples.index_ranges import IndexRange, index_ranges

L, ops = keras.layers, keras.ops
FREE = np.iinfo(np.int64).max


def ranges(model: Any, *row_shapes: tuple[int, ...]) -> tuple[IndexRange, ...]:
    return index_ranges(trace(model, custom=True), row_shapes)


class Gains(keras.layers.Layer):
    """A gain for each of six labels."""

    def build(self, _: Any) -> None:
        self.gamma = self.add_weight(shape=(6, 3), name="gamma")

    def call(self, tensors: Any) -> Any:
        x, label = tensors
        return x * ops.take(self.gamma, ops.squeeze(label, -1), axis=0)


def test_each_column_has_the_range_of_its_own_table() -> None:
    codes = keras.Input((4,), dtype="int32")
    small, large = L.Embedding(5, 2)(codes[:, 0]), L.Embedding(50, 2)(codes[:, 1])
    (limits,) = ranges(keras.Model(codes, L.Concatenate()([small, large, ops.one_hot(codes[:, 2], 7)])), (4,))
    assert limits.stop.tolist() == [5, 50, 7, FREE]
    drawn = limits.draw(np.random.default_rng(0), 2000)
    assert [sorted(set(column)) for column in drawn.T[[0, 2, 3]]] == [list(range(5)), list(range(7)), [0, 1]]
    assert (drawn[:, 1].min(), drawn[:, 1].max()) == (0, 49)


def test_of_several_tables_the_smallest_counts() -> None:
    codes = keras.Input((3,), dtype="int64")
    model = keras.Model(codes, [L.Embedding(9, 2)(codes), L.Embedding(4, 2)(codes)])
    assert ranges(model, (3,))[0].stop.tolist() == [4, 4, 4]


def test_casts_reshapes_and_concatenations_are_followed() -> None:
    first, second = keras.Input((4,), dtype="int32"), keras.Input((2,), dtype="float32")
    pairs = L.Reshape((3, 2))(L.Concatenate()([first, ops.cast(second, "int32")]))
    model = keras.Model([first, second], [L.Embedding(9, 2)(pairs[:, 0]), L.Embedding(4, 2)(pairs[:, 1:])])
    one, two = ranges(model, (4,), (2,))
    assert (one.stop.tolist(), two.stop.tolist()) == ([9, 9, 4, 4], [4, 4])
    assert two.is_index.all()


def test_what_is_added_on_the_way_moves_the_range() -> None:
    codes = keras.Input((3,), dtype="int32")
    model = keras.Model(codes, L.Embedding(40, 2)(codes + np.array([0, 10, 30], np.int32)))
    assert ranges(model, (3,))[0].stop.tolist() == [40, 30, 10]
    model = keras.Model(codes, L.Embedding(8, 2)(codes - 1))
    assert (ranges(model, (3,))[0].lowest.tolist(), ranges(model, (3,))[0].stop.tolist()) == ([1] * 3, [9] * 3)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (lambda: L.CategoryEncoding(num_tokens=4), 4),
        (lambda: L.Embedding(6, 2, mask_zero=True), 6),
        (lambda: L.Hashing(5), 5),
        (lambda: L.Lambda(lambda x: ops.take(np.arange(8.0), x), output_shape=(2,)), 8),
    ],
)
def test_layers_that_look_up_are_recognised(layer: Any, size: int) -> None:
    codes = keras.Input((2,), dtype="int32")
    assert ranges(keras.Model(codes, layer()(codes)), (2,))[0].stop.tolist() == [size, size]


def test_a_vocabulary_is_drawn_from_and_one_number_beside_it() -> None:
    codes = keras.Input((2,), dtype="int64")
    (limits,) = ranges(keras.Model(codes, L.IntegerLookup(vocabulary=[30, 10, 20])(codes)), (2,))
    assert set(limits.draw(np.random.default_rng(0), 200).ravel()) == {10, 20, 30, 31}


def test_the_weights_of_an_own_layer_count() -> None:
    x, label = keras.Input((3,)), keras.Input((1,), dtype="int32")
    model = keras.Model([x, label], Gains()([x, label]))
    assert [limits.stop.tolist() for limits in ranges(model, (3,), (1,))] == [[FREE] * 3, [6]]


def test_a_table_in_a_wrapper_counts() -> None:
    codes = keras.Input((3, None), dtype="int32")
    model = keras.Model(codes, L.TimeDistributed(L.Embedding(7, 2))(codes))
    assert [node.op.kind for node in trace(model).nodes] == [L.TimeDistributed]
    assert (ranges(model, (3, 4))[0].stop == 7).all()
