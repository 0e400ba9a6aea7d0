"""Comparison of a converted model with its tf-keras model, at every tensor of the outermost graph."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from foldserve_contract.signature import Array

from ...errors import CannotLoad
from ...samples.input_source import refusing_unsuitable
from ..given_samples import NO_SAMPLES, GivenSamples
from .comparison_inputs import comparison_inputs
from .convert import Converted

_AGREEMENT = 1e-4  # of a tensor's scale: rounding stays below it, and any wrong weight or setting does not


def require_agreement(old: Any, converted: Converted, path: Path, samples: GivenSamples = NO_SAMPLES) -> None:
    """Checks that both models compute the same in inference mode.

    Args:
        old: The tf-keras model, without a learning phase baked into its calls.
        converted: The model converted from it, with the tensors of the same calls.
        path: The file, for the message.
        samples: Inputs that the user gave; drawn ones have their sizes.

    Raises:
        Refused: Neither can be computed on what was drawn; the message asks for samples.
        CannotLoad: They disagree; the message names the first layer that does.
    """
    import tf_keras

    before, after = zip(*_probes(old, converted), strict=True)
    inputs = comparison_inputs(old, converted.model, samples)
    # Keras' warnings of a model are not news to its author
    with warnings.catch_warnings(), refusing_unsuitable(converted.model, drawn=not samples.arrays):
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
