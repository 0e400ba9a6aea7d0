"""Known faults of conversions: the result is right, or refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from foldserve_contract.manifest import Source
from foldserve_contract.tolerance import deviation, within
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.purity import require_pure
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.errors import Refused
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.steps.fold import fold_model
from foldserve_exporter.steps.reference import make_reference

from .models import randomise

layers = keras.layers


def sequential(*parts: Any, shape: tuple[int | None, ...] = (12, 10, 8), dtype: str = "float32") -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype, name="x"), *parts])


def mixed(policy: str) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return sequential(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3))
    finally:
        keras.config.set_dtype_policy(before)


def adapted() -> keras.Model:
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(2, 3, (10, 12, 10, 8)))
    return sequential(normalization, layers.Conv2D(4, 3), layers.BatchNormalization())


def adapted_over_two_axes() -> keras.Model:
    normalization = layers.Normalization(axis=(3, 1))
    normalization.adapt(np.random.default_rng(0).normal(2, 3, (10, 12, 10, 8)))
    return sequential(normalization, layers.Conv2D(4, 3), layers.BatchNormalization())


class Weighted(keras.layers.Layer):
    """A layer that holds a tensor that is not a variable."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = keras.ops.convert_to_tensor(np.linspace(0.5, 2, 8, dtype=np.float32))

    def call(self, inputs: Any) -> Any:
        return inputs * self.share


def with_lora() -> keras.Model:
    model = sequential(
        layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(5), layers.BatchNormalization()
    )
    for index in (0, 3):
        model.layers[index].enable_lora(2)
    return model


def attention() -> keras.Model:
    x = keras.Input((6, 8), name="x")
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4, dropout=0.2)(x, x) + x)
    return keras.Model(x, layers.Dense(3, activation="gelu")(y))


def choosing() -> keras.Model:
    """A choice whose other branch is infinite or NaN: the logarithm of numbers that are not positive."""
    x = keras.Input((8,), name="x")
    y = layers.BatchNormalization()(layers.Dense(5)(x))
    return keras.Model(x, keras.ops.where(y > 0.5, keras.ops.log(y), y))


def deciding() -> keras.Model:
    """A model that answers the class alone; here among numbers of both signs, and zeros of both."""
    x = keras.Input((8,), name="x")
    return keras.Model(x, [keras.ops.argmax(x, axis=-1), keras.ops.argmin(x, axis=-1), layers.Dense(3)(x)])


TRAPS: dict[str, Callable[[], keras.Model]] = {
    "grouped convolution": lambda: sequential(
        layers.Conv2D(6, (3, 2), groups=2, strides=2, padding="same"), layers.BatchNormalization()
    ),
    "grouped, with a softmax over all groups": lambda: sequential(
        layers.Conv2D(6, 3, groups=2, activation="softmax"), layers.Conv2D(4, 3, groups=2, activation="sparsemax")
    ),
    "grouped, causal": lambda: sequential(layers.Conv1D(6, 3, groups=2, padding="causal"), shape=(12, 8)),
    "exact GELU": lambda: sequential(layers.Dense(5, activation="gelu"), layers.BatchNormalization()),
    "Normalization by arguments": lambda: sequential(
        layers.Normalization(mean=[0.5] * 8, variance=[2.0] * 8), layers.Conv2D(4, 3)
    ),
    "Normalization adapted": adapted,
    "Normalization over two axes": adapted_over_two_axes,
    "a tensor that a layer holds": lambda: sequential(Weighted(), layers.Conv2D(4, 3), layers.BatchNormalization()),
    "low-rank adapters": with_lora,
    "spectral normalisation": lambda: sequential(
        layers.SpectralNormalization(layers.Conv2D(4, 3)), layers.BatchNormalization()
    ),
    "mixed float16": lambda: mixed("mixed_float16"),
    "mixed bfloat16": lambda: mixed("mixed_bfloat16"),
    "random layers": lambda: sequential(
        layers.RandomFlip(), layers.RandomRotation(0.2), layers.GaussianNoise(0.5), layers.Conv2D(4, 3),
        layers.GaussianDropout(0.3), layers.SpatialDropout2D(0.2), layers.Flatten(), layers.AlphaDropout(0.2),
    ),
    "attention with dropout": attention,
    "sizes that rounding spoils": lambda: sequential(
        layers.UpSampling2D(2, interpolation="bilinear"), layers.Conv2D(3, 3), layers.Resizing(9, 7)
    ),
    "an image that is resized before all else": lambda: sequential(layers.Resizing(9, 7), layers.Dense(3)),
    "an image that is resized to the nearest": lambda: sequential(
        layers.Resizing(17, 7, interpolation="nearest"), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)
    ),
    "free sizes in the output": lambda: sequential(
        layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 5), bias_axes="e"), layers.BatchNormalization()
    ),
    "a choice": choosing,
    "uint8 input": lambda: sequential(
        layers.Rescaling(1 / 127.5, offset=-1), layers.Conv2D(3, 3), layers.BatchNormalization(), dtype="uint8"
    ),
    "free height and width": lambda: sequential(
        layers.Conv2D(4, 3), layers.BatchNormalization(), layers.GlobalMaxPooling2D(), shape=(None, None, 3)
    ),
    "zero padding before max pooling": lambda: sequential(
        layers.Conv2D(4, 3), layers.Rescaling(0.1, offset=-9), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)
    ),
    "recurrent": lambda: sequential(layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
                                    layers.BatchNormalization(), layers.GRU(3), shape=(7, 5)),
}  # fmt: skip


def prepare(model: keras.Model) -> tuple[Any, Any]:
    folded = fold_model(Loaded(randomise(model, 4), Source("x", "y")))
    return folded, make_reference(folded, ExportOptions(Path(), "m"))


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_the_onnx_model_loads_and_answers_as_the_reference(trap: str, tmp_path: Path) -> None:
    folded, expected = prepare(TRAPS[trap]())
    path = tmp_path / "model.onnx"
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, path)
    engine = OnnxEngine.from_bytes(path.read_bytes(), folded.signature)
    answers = engine.run(expected.rows.judged_inputs)
    for name, reference in expected.reference.outputs.items():
        assert np.ptp(reference, axis=0).max() > 1e-3
        assert within(deviation(answers[name], reference), expected.reference.bound(name))


def test_the_class_alone_is_that_of_keras_for_zeros_of_both_signs_too(tmp_path: Path) -> None:
    model, path = randomise(deciding()), tmp_path / "model.onnx"
    folded, _ = prepare(model)
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, path)
    rows = np.random.default_rng(2).choice(np.array([-0.0, 0.0, -2, 2], np.float32), (64, 8))
    rows[:8] = np.where(np.eye(8, dtype=bool), np.float32(0), np.float32(-0.0))
    answers = OnnxEngine.from_bytes(path.read_bytes(), folded.signature).run({"x": rows})
    expected = model.predict(rows, verbose=0)[:2]
    for spec, expected_output in zip(folded.signature.outputs, expected, strict=False):
        np.testing.assert_array_equal(answers[spec.name], expected_output)
    assert list(expected[0][:8]) == list(range(8))


@pytest.mark.parametrize("divisor", [5, -3])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_whole_numbers_are_divided_as_keras_does_below_zero_too(dtype: str, divisor: int, tmp_path: Path) -> None:
    x, path = keras.Input((1,), dtype=dtype, name="x"), tmp_path / "model.onnx"
    model = keras.Model(x, [keras.ops.floor_divide(x, divisor), keras.ops.mod(x, divisor)])
    folded = fold_model(Loaded(model, Source("x", "y")))
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, path)
    rows = np.arange(-20, 21, dtype=dtype)[:, None]
    answers = OnnxEngine.from_bytes(path.read_bytes(), folded.signature).run({"x": rows})
    for spec, expected_output in zip(folded.signature.outputs, [rows // divisor, rows % divisor], strict=True):
        np.testing.assert_array_equal(answers[spec.name], expected_output)


def test_a_lookup_table_is_refused_by_name() -> None:
    folded = fold_model(Loaded(sequential(layers.IntegerLookup(vocabulary=[3, 5], name="looked_up"), shape=(2,),
                                          dtype="int64"), Source("x", "y")))  # fmt: skip
    with pytest.raises(Refused, match=r"^looked_up.*: it looks values up in a table"):
        require_pure(serving_function(folded.model, folded.signature))


def test_unused_constants_are_left_out(tmp_path: Path) -> None:
    folded, _ = prepare(TRAPS["sizes that rounding spoils"]())
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read


def test_an_operation_onnx_lacks_is_refused_by_name(tmp_path: Path) -> None:
    folded, _ = prepare(sequential(layers.Hashing(7), layers.Rescaling(2.0), shape=(3,), dtype="int32"))
    with pytest.raises(Refused, match="StringToHashBucketFast"):
        write_onnx(serving_function(folded.model, folded.signature), folded.signature, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_layer_that_makes_another_shape_than_it_declares_is_refused(tmp_path: Path) -> None:
    folded = fold_model(Loaded(sequential(layers.Conv2D(4, 3, activation="glu")), Source("x", "y")))
    with pytest.raises(Refused, match=r"the ONNX model is not sound: .*conv2d.*Where two shapes differ"):
        write_onnx(serving_function(folded.model, folded.signature), folded.signature, tmp_path / "model.onnx")


def test_what_a_cpu_cannot_compute_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"\(too_wide\w*\): .*dilation"):
        prepare(sequential(layers.Conv2DTranspose(5, 3, dilation_rate=2, name="too_wide")))


def test_an_answer_that_is_not_finite_is_refused() -> None:
    model = sequential(layers.Dense(2, name="head"))
    model.layers[-1].bias.assign([np.inf, 0])
    folded = fold_model(Loaded(model, Source("x", "y")))
    with pytest.raises(Refused, match="'head' of the model itself is not finite"):
        make_reference(folded, ExportOptions(Path(), "m"))


def test_free_dimensions_are_named_for_what_they_are(tmp_path: Path) -> None:
    folded, _ = prepare(TRAPS["free height and width"]())
    write_onnx(serving_function(folded.model, folded.signature), folded.signature, tmp_path / "model.onnx")
    shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert [d.dim_value or d.dim_param for d in shape.dim] == ["batch", "x_1", "x_2", 3]


def test_weights_that_are_not_numbers_are_refused_by_their_layers_name() -> None:
    model = randomise(sequential(layers.Flatten(), layers.Dense(5, name="middle"), layers.Dense(3, name="head")))
    model.get_layer("middle").bias.assign([1, 2, float("nan"), 4, 5])
    with pytest.raises(Refused, match=r"output 'head' .* weights are not finite in middle \(bias\); restore"):
        make_reference(fold_model(Loaded(model, Source("model", ""))), ExportOptions(Path(), "model"))
