"""Copying of weights from a tf-keras layer to the Keras 3 layer that was converted from it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from foldserve_contract.signature import Array

from ...errors import CannotLoad
from .h5_weights import short_name

_SLOPES = 1.2
"""Keras 2's hard_sigmoid is clip(x/5 + 1/2), Keras 3's clip(x/6 + 1/2): the second of 1.2·x is the first of x."""
_GATES = {"LSTMCell": (1, 1, 0, 1), "ConvLSTMCell": (1, 1, 0, 1), "GRUCell": (1, 1, 0)}
"""Blocks of a cell's weights that feed its recurrent activation."""


def copy_weights(old: Any, new: Any) -> None:
    """Sets a built Keras 3 layer's weights and ``trainable`` flag, those of layers inside it too.

    Raises:
        CannotLoad: The weights do not pair up by name and shape.
    """
    for source, target in _parts(old, new):
        _copy(source, target)
        target.trainable = source.trainable


def _parts(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of the layers that hold weights: those inside a wrapper, else the layer itself."""
    if hasattr(new, "forward_layer"):
        yield from _parts(old.forward_layer, new.forward_layer)
        yield from _parts(old.backward_layer, new.backward_layer)
    elif hasattr(new, "cell") and hasattr(old, "cell"):
        yield from _parts(old.cell, new.cell)
    elif hasattr(new, "cells") and hasattr(old, "cells"):
        for source, target in zip(old.cells, new.cells, strict=True):
            yield from _parts(source, target)
    else:
        yield old, new


def _copy(old: Any, new: Any) -> None:
    # in the order of the new layer where the names are the same, else in the old layer's order
    names = [_keras_3_name(new, short_name(variable.name)) for variable in old.weights]
    values = [variable.numpy() for variable in old.weights]
    new_names = [variable.name for variable in new.weights]
    if len(set(names)) == len(names) and sorted(names) == sorted(new_names):
        values = [values[names.index(name)] for name in new_names]
        names = new_names
    # names and shapes have to agree
    old_weights = [(name, value.shape) for name, value in zip(names, values, strict=True)]
    new_weights = [(variable.name, tuple(variable.shape)) for variable in new.weights]
    if old_weights != new_weights:
        raise CannotLoad(
            f"layer {old.name!r} ({type(old).__name__}) has weights {old_weights} in Keras 2"
            f" and {new_weights} in Keras 3"
        )
    # gates with Keras 2's hard_sigmoid get its slope
    factor = _gate_factors(old)
    for variable, value in zip(new.weights, values, strict=True):
        variable.assign(value if factor is None else _scaled(value, factor))
    if type(new).__name__ == "Normalization":
        new.finalize_state()


def _keras_3_name(new: Any, name: str) -> str:
    return "kernel" if name == "depthwise_kernel" and type(new).__name__.startswith("DepthwiseConv") else name


def _gate_factors(old: Any) -> tuple[float, ...] | None:
    """The factor of each gate's block; None where the gates do not use `hard_sigmoid`."""
    if getattr(getattr(old, "recurrent_activation", None), "__name__", "") != "hard_sigmoid":
        return None
    gates = next((gates for name, gates in _GATES.items() if type(old).__name__.startswith(name)), None)
    if gates is None:
        raise CannotLoad(f"layer {old.name!r} ({type(old).__name__}) has Keras 2's hard_sigmoid inside")
    return tuple(_SLOPES if gate else 1.0 for gate in gates)


def _scaled(value: Array, factors: tuple[float, ...]) -> Array:
    wide = np.repeat(np.asarray(factors, np.float64), value.shape[-1] // len(factors))
    scaled: Array = (value.astype(np.float64) * wide).astype(value.dtype)
    return scaled
