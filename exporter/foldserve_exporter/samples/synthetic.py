"""Synthetic samples, drawn by dtype and by the range that the first layers expect."""

import keras
import numpy as np

from foldserve_contract.signature import Array, Signature, TensorSpec

from ..graph import Graph, Node, Ref
from ..graph.ir import INPUT
from .index_ranges import IndexRange, index_ranges
from .model_walk import RowShapes

_NEUTRAL: tuple[Array, Array] = (np.zeros(()), np.ones(()))
_DYNAMIC_SIZES = {1: 16, 2: 16, 3: 64}  # a free dimension, by rank of the row: sequences 16, images 64


def default_shapes(inputs: tuple[TensorSpec, ...]) -> RowShapes:
    """Row shapes with 16 for the open sizes of sequences and 64 for those of images."""
    return tuple(_default_shape(spec.row_shape) for spec in inputs)


def synthesize(
    graph: Graph,
    signature: Signature,
    rows: int,
    seed: int,
    row_shapes: RowShapes | None = None,
    opened: Graph | None = None,
) -> dict[str, Array]:
    """Draws `rows` random rows for every input, the same for the same seed.

    Floats are smooth fields with noise on them, as images are, centred and scaled as the first layer that reads them
    expects (Rescaling, Normalization, BatchNormalization, Discretization). Whole numbers, of any dtype, stay within the
    tables that they are looked up in; integers that are not looked up are 0 and 1, and bytes 0 to 255.

    Args:
        graph: The model.
        signature: Names, dtypes and shapes of its inputs.
        rows: The number of rows.
        seed: Seed of the draw.
        row_shapes: Sizes for open dimensions; None for the usual ones.
        opened: The same model with its custom layers traced into, whose lookups count.
    """
    generator = np.random.default_rng(seed)
    shapes = default_shapes(signature.inputs) if row_shapes is None else row_shapes
    ranges = index_ranges(opened or graph, shapes)
    return {
        spec.name: _draw(generator, (rows, *shapes[position]), np.dtype(spec.dtype), _reader(graph, position), limits)
        for position, (spec, limits) in enumerate(zip(signature.inputs, ranges, strict=True))
    }


def _default_shape(row_shape: tuple[int, ...]) -> tuple[int, ...]:
    free = _DYNAMIC_SIZES.get(len(row_shape), 8)
    return tuple(free if size == -1 else size for size in row_shape)


def _reader(graph: Graph, position: int) -> Node | None:
    """The first node that reads an input, behind a cast."""
    readers = graph.readers(Ref(INPUT, position))
    while readers and readers[0].op.kind.__name__ == "Cast":
        readers = graph.readers(readers[0].ref)
    return readers[0] if readers else None


def _draw(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, reader: Node | None, limits: IndexRange
) -> Array:
    if limits.is_index.all() or dtype.kind == "b":
        return limits.draw(generator, shape[0]).astype(dtype)
    drawn = _values(generator, shape, dtype, reader, limits)
    if limits.is_index.any():
        drawn = np.where(limits.is_index, limits.draw(generator, shape[0]), drawn)
    return drawn.astype(dtype)


def _values(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, reader: Node | None, limits: IndexRange
) -> Array:
    """Values that are not looked up."""
    if dtype == np.uint8:
        return generator.integers(0, 256, shape)
    mean, spread = _expected(reader)
    if dtype.kind in "iu":
        if spread is _NEUTRAL[1]:
            return limits.draw(generator, shape[0])
        whole: Array = np.round(mean + spread * _field(generator, shape))
        return np.clip(whole, np.iinfo(dtype).min if dtype.kind == "i" else 0, np.iinfo(dtype).max)
    drawn: Array = mean + spread * _field(generator, shape)
    return drawn


def _expected(reader: Node | None) -> tuple[Array, Array]:
    """Mean and standard deviation of the input, as implied by its first layer; 0 and 1 where it implies none."""
    if reader is None:
        return _NEUTRAL
    op = reader.op
    # Rescaling maps into −1…1 or into 0…1, by its offset: the inverse gives the inputs' range
    if issubclass(op.kind, keras.layers.Rescaling):
        scale, offset = np.asarray(op.config["scale"], np.float64), np.asarray(op.config["offset"], np.float64)
        centre, spread = (0.0, 0.5) if np.min(offset) < 0 else (0.5, 0.25)
        return np.asarray((centre - offset) / scale), np.asarray(spread / np.abs(scale))
    # normalisation layers hold the statistics of their inputs
    if issubclass(op.kind, keras.layers.BatchNormalization):
        mean, variance = op.weight("moving_mean"), op.weight("moving_variance")
        if mean is not None and variance is not None and op.config["axis"] in (-1, len(reader.outputs[0].shape) - 1):
            return np.asarray(mean, np.float64), np.sqrt(np.abs(np.asarray(variance, np.float64)))
    if issubclass(op.kind, keras.layers.Normalization):
        given = (op.config.get("mean"), op.config.get("variance"))
        mean, variance = (op.weight("mean"), op.weight("variance")) if None in given else map(np.asarray, given)
        if mean is not None and variance is not None:
            return _along(reader, mean.astype(np.float64)), _along(reader, np.sqrt(variance.astype(np.float64)))
    if issubclass(op.kind, keras.layers.Discretization) and op.config.get("bin_boundaries"):
        borders = np.asarray(op.config["bin_boundaries"], np.float64)
        return np.asarray(borders.mean()), np.asarray(max(float(np.ptp(borders)) / 2, 1.0))
    return _NEUTRAL


def _along(reader: Node, values: Array) -> Array:
    """Reshapes a Normalization's statistics, one for each position along its axes, to broadcast over its input."""
    shape, axes = reader.outputs[0].shape, reader.op.config["axis"]
    kept = {axis % len(shape) for axis in ([axes] if isinstance(axes, int) else axes or ())}
    if values.size == 1:
        return values.reshape(())
    return values.reshape([(size or 1) if axis in kept else 1 for axis, size in enumerate(shape)])


def _field(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draws unit-variance noise over a slow wave, with a random level for each row."""
    noise = generator.standard_normal(shape)
    level = generator.standard_normal((shape[0],) + (1,) * (len(shape) - 1))
    wave = np.zeros(shape)
    for axis in range(1, len(shape) - 1):
        phase = generator.uniform(0, 2 * np.pi, level.shape)
        along = np.linspace(0, 2 * np.pi, shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        wave = wave + np.sin(along + phase)
    mixed: Array = (0.5 * noise + 0.5 * level + wave) / np.sqrt(0.5 + 0.5 * max(len(shape) - 2, 0))
    return mixed
