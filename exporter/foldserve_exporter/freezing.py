"""Freezing of BatchNormalization for fine-tuning, in nested models as well."""

from typing import Any

import keras

from .errors import Refused
from .graph import keras_private as private


def freeze(model: Any) -> tuple[str, ...]:
    """Freezes every BatchNormalization of a model, in nested backbones and wrappers as well, in place.

    A frozen layer normalises with its moving statistics in `fit` too and leaves them as they are, so that `fit` and
    `predict` compute the same. All other layers stay as trainable as they were. Statistics that are wrong before
    stay wrong: recalibrate first. Setting `trainable` of an enclosing model afterwards undoes it; call `freeze` last.

    A compiled model needs no new `compile`: the training function that Keras caches is dropped, and the next `fit`
    builds it again.

    Args:
        model: A `keras.Model`. Its BatchNormalization layers become `trainable = False`.

    Returns:
        The names of the layers that were trainable and no longer are.

    Raises:
        Refused: The argument is not a Keras model.
    """
    if not isinstance(model, keras.Model):
        raise Refused(f"freeze expects a Keras model, received {type(model).__name__}")
    layers = [layer for layer in private.sublayers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    thawed = [layer for layer in layers if layer.trainable]
    for layer in thawed:
        layer.trainable = False
    model.train_function = None
    return tuple(layer.name for layer in thawed)
