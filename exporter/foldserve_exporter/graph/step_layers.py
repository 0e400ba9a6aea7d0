"""Layers that merge the steps of a series into the batch and part them again, where sizes are open until a call.

Keras' own reshape leaves one size of its result open; parting rows into steps leaves two, the batch and the steps.
"""

from typing import Any

import keras

_ops = keras.ops


class MergeSteps(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Steps to rows: (batch, steps, …) becomes (batch·steps, …). A mask ends here: it tells of steps."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, steps: Any) -> Any:
        """The rows of a tensor of steps."""
        batch, count, *sizes = _ops.shape(steps)
        return _ops.reshape(steps, (batch * count, *sizes))

    def compute_output_spec(self, steps: Any) -> Any:
        """The spec of the rows; their number is open."""
        return keras.KerasTensor((None, *steps.shape[2:]), dtype=steps.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """No mask: rows have none."""


class PartSteps(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Rows to steps: (batch·steps, …) becomes (batch, steps, …), with batch and steps of the tensor ``like``.

    Of ``like`` the shape alone is read, and its mask, which goes on to the result as that of a TimeDistributed does.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, like: Any, rows: Any) -> Any:
        """The steps of a tensor of rows."""
        batch, count, *_ = _ops.shape(like)
        return _ops.reshape(rows, (batch, count, *_ops.shape(rows)[1:]))

    def compute_output_spec(self, like: Any, rows: Any) -> Any:
        """The spec of the steps."""
        return keras.KerasTensor((*like.shape[:2], *rows.shape[1:]), dtype=rows.dtype)
