"""Zeros in the place of an input that a layer takes and does not read."""

from typing import Any

import keras

from .ir import TensorInfo


class StandIn(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Zeros of a fixed row shape, as many rows as another tensor has.

    Args:
        row_shape: The shape of one row.
        row_dtype: The dtype of the zeros.
    """

    def __init__(self, row_shape: tuple[int, ...], row_dtype: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.row_shape, self.row_dtype = tuple(row_shape), row_dtype

    def call(self, like: Any) -> Any:
        """The zeros."""
        return keras.ops.zeros((keras.ops.shape(like)[0], *self.row_shape), dtype=self.row_dtype)

    def compute_output_spec(self, like: Any) -> Any:
        """The spec of the zeros."""
        return keras.KerasTensor((like.shape[0], *self.row_shape), dtype=self.row_dtype)


def stand_in_config(spec: TensorInfo) -> dict[str, Any]:
    """The configuration of zeros in place of a tensor; an open size becomes 1."""
    shape = [size or 1 for size in spec.shape[1:]]
    return {"name": spec.name, "dtype": "float32", "row_shape": shape, "row_dtype": spec.dtype}
