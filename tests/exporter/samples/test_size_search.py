"""Sizes for open dimensions are found at which every layer has something left, and others beside them."""

from typing import Any

import keras
import pytest

from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.samples.input_source import source_for
from foldserve_exporter.samples.model_walk import RowShapes
from foldserve_exporter.samples.size_search import sizes_in_words

L, ops = keras.layers, keras.ops


def sizes(model: Any) -> tuple[RowShapes, ...]:
    graph = trace(model)
    named = NamedModel.of(rebuild(graph), graph)
    return source_for(graph, named.model, named.signature()).sizes


def splicing(context: int) -> Any:
    """Dilated convolutions with skips, of which the context on both sides is cut off."""
    inputs = keras.Input((None, 4), name="sequence")
    x = L.Conv1D(4, 1)(inputs)
    for rate in (1, 4):
        x = L.Add()([x, L.Conv1D(4, 5, dilation_rate=rate, padding="same")(L.BatchNormalization()(x))])
    return keras.Model(inputs, L.Conv1D(3, 1, activation="softmax")(L.Cropping1D(context, name="cut")(x)))


def u_net(pool: int, depth: int) -> Any:
    x = inputs = keras.Input((None, None, 3))
    skips = []
    for _ in range(depth):
        skips.append(x)
        x = L.MaxPooling2D(pool)(L.Conv2D(2, 3, padding="same")(x))
    for skip in reversed(skips):
        x = L.Conv2D(2, 3, padding="same")(L.Concatenate()([L.UpSampling2D(pool)(x), skip]))
    return keras.Model(inputs, x)


@pytest.mark.parametrize(("context", "smallest"), [(2, 16), (50, 101), (5000, 10_001)])
def test_the_smallest_length_that_leaves_something(context: int, smallest: int) -> None:
    first, *others = (shapes[0] for shapes in sizes(splicing(context)))
    assert first == (smallest, 4)
    assert len({first, *others}) == 3
    assert all(length > smallest for length, _ in others)


@pytest.mark.parametrize(("pool", "depth"), [(2, 5), (3, 3), (5, 2)])
def test_images_of_unequal_height_and_width_that_are_multiples_of_all_poolings(pool: int, depth: int) -> None:
    found = [shapes[0] for shapes in sizes(u_net(pool, depth))]
    assert len(set(found)) == 3
    assert found[0][0] != found[0][1]
    assert all(size % pool**depth == 0 for height, width, _ in found for size in (height, width))


def test_inputs_that_have_to_share_a_size_do_and_others_do_not() -> None:
    left, right = keras.Input((None, 4)), keras.Input((None, 6))
    for first, second in sizes(keras.Model([left, right], L.Concatenate()([left, right]))):
        assert first[0] == second[0]
    pooled = [L.GlobalMaxPooling1D()(L.Conv1D(3, 30)(left)), L.GlobalMaxPooling1D()(right)]
    (first, second), *_ = sizes(keras.Model([left, right], L.Concatenate()(pooled)))
    assert first[0] == 30
    assert second[0] != 30


class Positions(keras.layers.Layer):
    """Twelve positions, whose number nothing but the computation knows."""

    def build(self, _: Any) -> None:
        self.table = self.add_weight(shape=(12, 6), name="table")

    def call(self, x: Any) -> Any:
        return x + ops.take(self.table, ops.arange(ops.shape(x)[1]), axis=0)


def test_sizes_that_shapes_allow_and_the_computation_does_not_are_halved() -> None:
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, L.GlobalAveragePooling1D()(Positions()(L.Embedding(9, 6)(tokens))))
    found = [shapes[0][0] for shapes in sizes(model)]
    assert found[0] == 8
    assert len(found) == 3
    assert max(found) <= 12


def test_where_no_size_fits_the_layer_is_named_and_samples_are_asked_for() -> None:
    inputs = keras.Input((None, 4), name="sequence")
    model = keras.Model(inputs, L.Cropping1D(1 << 20, name="cut")(inputs))
    with pytest.raises(Refused, match=r"open dimensions of the input 'sequence'.*layer 'cut'.*--samples"):
        sizes(model)


def test_one_size_alone_is_enough() -> None:
    inputs = keras.Input((None, 4))
    assert sizes(keras.Model(inputs, L.Add()([inputs, L.Reshape((8, 4))(inputs)]))) == (((8, 4),),)


def test_sizes_are_named_by_input() -> None:
    image, fixed = keras.Input((None, None, 3), name="image"), keras.Input((4,), name="fixed")
    pooled = L.Concatenate()([L.GlobalMaxPooling2D()(image), fixed])
    graph = trace(keras.Model([image, fixed], pooled))
    signature = NamedModel.of(rebuild(graph), graph).signature()
    assert sizes_in_words(((64, 96, 3), (4,)), signature) == "image 64×96"
