"""Synthetic samples, drawn by dtype and by the range that the first layers expect."""

from collections.abc import Callable

import keras
import numpy as np

from foldserve_contract.signature import Array, Signature, TensorSpec

from ..graph import Graph, Node, Ref
from ..graph.ir import INPUT

_DYNAMIC_SIZES = {1: 16, 2: 16, 3: 64}  # a free dimension, by rank of the row: sequences 16, images 64
_DEFAULT_TOKENS = 10

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def synthesize(graph: Graph, signature: Signature, rows: int, seed: int) -> dict[str, Array]:
    """Draws `rows` random rows for every input, the same for the same seed.

    Floats are smooth fields with noise on them, as images are, centred and scaled as the first layer that reads them
    expects (Rescaling, Normalization, BatchNormalization); integers stay below the size of the Embedding they go to.
    """
    generator = np.random.default_rng(seed)
    return {
        spec.name: _draw(generator, spec, _reader(graph, position), rows)
        for position, spec in enumerate(signature.inputs)
    }


def _reader(graph: Graph, position: int) -> Node | None:
    readers = graph.readers(Ref(INPUT, position))
    return readers[0] if readers else None


def _draw(generator: np.random.Generator, spec: TensorSpec, reader: Node | None, rows: int) -> Array:
    free = _DYNAMIC_SIZES.get(len(spec.row_shape), 8)
    shape = (rows, *(free if size == -1 else size for size in spec.row_shape))
    dtype = np.dtype(spec.dtype)
    if dtype == np.bool_:
        return generator.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return generator.integers(0, _token_limit(spec, reader), shape).astype(dtype)
    mean, spread = _expected(reader)
    drawn: Array = mean + spread * _field(generator, shape)
    return drawn.astype(dtype)


def _token_limit(spec: TensorSpec, reader: Node | None) -> int:
    if reader is not None and issubclass(reader.op.kind, keras.layers.Embedding):
        return int(reader.op.config["input_dim"])
    if spec.dtype == "uint8":
        return 256
    return _DEFAULT_TOKENS


def _expected(reader: Node | None) -> tuple[Array, Array]:
    """Mean and standard deviation of the input, as implied by its first layer; 0 and 1 where it implies none."""
    neutral = (np.zeros(()), np.ones(()))
    if reader is None:
        return neutral
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
        mean, variance = op.weight("mean"), op.weight("variance")
        if mean is not None and variance is not None:
            return _along(reader, mean.astype(np.float64)), _along(reader, np.sqrt(variance.astype(np.float64)))
    return neutral


def _along(reader: Node, values: Array) -> Array:
    """Reshapes a Normalization's statistics, one for each position along its axes, to broadcast over its input."""
    shape, axes = reader.outputs[0].shape, reader.op.config["axis"]
    kept = {axis % len(shape) for axis in ([axes] if isinstance(axes, int) else axes or ())}
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
