"""Epsilon floor: the smallest epsilon of BatchNormalization where TensorFlow's fused kernel computed it.

Measured in each version by the inference of a layer with epsilon 1e-7 and variance 1e-6:

| Keras                                                  | rank 4   | rank 5   | other ranks |
|--------------------------------------------------------|----------|----------|-------------|
| 2.1.6, 2.2.0 (TensorFlow 1.12)                         | as saved | as saved | as saved    |
| 2.2.1, 2.2.2, 2.2.3, 2.2.4, 2.2.5 (TensorFlow 1.12)    | floor    | as saved | as saved    |
| tf.keras of TensorFlow 1.12, 2.2, 2.3, 2.5             | floor    | as saved | as saved    |
| tf.keras of TensorFlow 2.6, 2.7, 2.8, 2.10, 2.11       | floor    | floor    | as saved    |
| tf.keras of TensorFlow 2.12, 2.13, 2.14, 2.15          | as saved | as saved | as saved    |

The floor holds where the axis is the last; in tf.keras also where it is the first behind the batch.
"""

import re
from collections.abc import Iterator
from typing import Any

FLOOR = 1.001e-5
_FIRST = (2, 2, 1)  # of standalone Keras, which ended with 2.3.1
_FIRST_TF = (2, 4, 0)  # the version of tf.keras from TensorFlow 2.3 on; before it, versions end in "-tf"
_FIRST_RANK_5 = (2, 6, 0)
_FIRST_WITHOUT = (2, 12, 0)


def apply_floor(model: Any, version: str) -> tuple[str, ...]:
    """Gives the BatchNormalization layers of a tf-keras model the epsilon that their Keras computed with.

    Returns:
        A note for the user where that differs from the file.
    """
    raised = []
    for layer in _norms(model):
        if layer.epsilon < FLOOR and _was_fused(layer, version):
            raised.append((layer.name, layer.epsilon))
            layer.epsilon = FLOOR
    if not raised:
        return ()
    names = ", ".join(repr(name) for name, _ in raised[:3]) + (", …" if len(raised) > 3 else "")
    return (
        f"BatchNormalization {names}: the file has epsilon {min(value for _, value in raised):g}, but Keras {version},"
        f" which saved it, computed with no less than {FLOOR:g} there, and so does the bundle",
    )


def _was_fused(layer: Any, version: str) -> bool:
    rank, axis = layer.input_spec.ndim, _axis(layer)
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not numbers or numbers >= _FIRST_WITHOUT:
        return False
    is_tf_keras = version.endswith("-tf") or numbers >= _FIRST_TF
    if is_tf_keras:
        ranks = (4, 5) if numbers >= _FIRST_RANK_5 else (4,)
        return rank in ranks and axis in (1, rank - 1)
    return numbers >= _FIRST and rank == 4 and axis == 3


def _axis(layer: Any) -> int:
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    return int(axis) % int(layer.input_spec.ndim)


def _norms(model: Any) -> Iterator[Any]:
    import tf_keras

    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization) and layer.built:
            yield layer
