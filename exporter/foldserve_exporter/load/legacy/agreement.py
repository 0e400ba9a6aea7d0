"""Comparison of a converted model with its tf-keras model, at every tensor of the outermost graph."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array

from ...errors import CannotLoad
from .convert import Converted

_ROWS = 4
_DYNAMIC_SIZES = {1: 16, 2: 16, 3: 64}  # for dynamic dimensions, by rank of a row
_AGREEMENT = 1e-4  # of a tensor's scale: rounding stays below it, and any wrong weight or setting does not
_TOKENS = 10


def require_agreement(old: Any, converted: Converted, path: Path) -> None:
    """Checks that both models compute the same in inference mode.

    Args:
        old: The tf-keras model, without a learning phase baked into its calls.
        converted: The model converted from it, with the tensors of the same calls.
        path: The file, for the message.

    Raises:
        CannotLoad: They disagree; the message names the first layer that does.
    """
    import tf_keras

    before, after = zip(*_probes(old, converted), strict=True)
    inputs = _inputs(old)
    with warnings.catch_warnings():  # Keras' warnings of a model are not news to its author
        warnings.simplefilter("ignore")
        expected = tf_keras.Model(old.inputs, list(before))(inputs, training=False)
        actual = keras.Model(converted.model.inputs, list(after))(inputs, training=False)
    for tensor, ours, theirs in zip(before, keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        deviation, scale = _compare(np.asarray(ours), np.asarray(theirs))
        if not deviation <= _AGREEMENT * scale:
            raise CannotLoad(
                f"{path}: converted to Keras 3, layer {tensor._keras_history.layer.name!r} answers {deviation:.3g} off"
                f" the answers of tf-keras (largest {scale:.3g}); nothing was exported. Export from the framework that"
                " wrote the file to a .keras file of Keras 3, and report this file"
            )


def _probes(old: Any, converted: Converted) -> list[tuple[Any, Any]]:
    return list(converted.tensors) or list(zip(old.outputs, converted.model.outputs, strict=True))


def _compare(ours: Array, theirs: Array) -> tuple[float, float]:
    """Deviation max|ours − theirs| and scale max|theirs| over the finite values; all others must be so in both."""
    if ours.shape != theirs.shape:
        return float("inf"), 0.0
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(ours)):
        return float("inf"), 0.0
    wide, other = (array[finite].astype(np.result_type(array.dtype, np.float64)) for array in (ours, theirs))
    return float(np.abs(wide - other).max(initial=0)), float(np.abs(other).max(initial=0))


def _inputs(old: Any) -> list[Array]:
    import tf_keras

    tables = [layer.input_dim for layer in old.submodules if isinstance(layer, tf_keras.layers.Embedding)]
    generator = np.random.default_rng(0)
    return [_draw(generator, tensor, min(tables, default=0)) for tensor in old.inputs]


def _draw(generator: np.random.Generator, tensor: Any, tokens: int) -> Array:
    dynamic = _DYNAMIC_SIZES.get(len(tensor.shape) - 1, 8)
    shape = (tensor.shape[0] or _ROWS, *(size or dynamic for size in tensor.shape[1:]))
    dtype = np.dtype(tensor.dtype.as_numpy_dtype)
    if tokens and len(shape) == 2:
        return generator.integers(0, tokens, shape).astype(dtype)
    if dtype.kind in "iub":
        return generator.integers(0, 2 if dtype.kind == "b" else _TOKENS, shape).astype(dtype)
    drawn: Array = generator.standard_normal(shape).astype(dtype)
    return drawn
