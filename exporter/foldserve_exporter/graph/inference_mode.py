"""Layers that act in training alone: they return their input in inference, so an inference graph leaves them out."""

from typing import Any

import keras

_layers = keras.layers
_AUGMENTATION = {name for name in dir(_layers) if name.startswith("Random")}
_MIXING = {"AugMix", "CutMix", "MixUp", "RandAugment"}
_NOISE = {"ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"}
_SPATIAL = {"SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"}
TRAINING_ONLY: tuple[type[Any], ...] = tuple(
    getattr(_layers, name) for name in sorted(_AUGMENTATION | _MIXING | _NOISE | _SPATIAL) if hasattr(_layers, name)
)
"""Stock layers that return their input outside of training."""

_CALLS = frozenset(kind.call for kind in TRAINING_ONLY)

DROPOUT_ARGUMENTS = ("dropout", "recurrent_dropout", "drop_path_rate")
"""Constructor arguments that make a layer random in training."""

_TRAINING_ONLY_NAMES = ("StochasticDepth", "DropPath")


def is_training_only(layer: Any) -> bool:
    """True if a layer returns its input outside of training.

    Drop-path layers are not stock layers; they are recognised by their class names in keras.applications.
    """
    inherits = isinstance(layer, TRAINING_ONLY) and type(layer).call in _CALLS
    return inherits or type(layer).__name__ in _TRAINING_ONLY_NAMES


def overrides_training_only(layer: Any) -> bool:
    """True if a layer derives from a training-only layer and overrides ``call``: in inference it may do anything."""
    return isinstance(layer, TRAINING_ONLY) and not is_training_only(layer)


def depends_on_phase(layer: Any) -> bool:
    """True if a layer, its sublayers apart, behaves differently in training."""
    return is_training_only(layer) or isinstance(layer, (keras.layers.BatchNormalization, *TRAINING_ONLY))


def has_dropout(layer: Any) -> bool:
    """True if a layer was constructed with a dropout rate, as recurrent layers and attention may be."""
    rates = (getattr(layer, name, None) for name in DROPOUT_ARGUMENTS)
    return any(isinstance(rate, int | float) and rate > 0 for rate in rates)
