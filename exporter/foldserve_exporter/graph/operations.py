"""Constructors of weightless Keras operations, outside of any model."""

from collections.abc import Sequence
from typing import Any

import keras

from . import keras_private as private
from .ir import Op


def cast(dtype: str) -> Any:
    """The operation behind ``keras.ops.cast``."""
    return _operation_of(keras.ops.cast(keras.KerasTensor((None,), "int32" if "float" in dtype else "float32"), dtype))


def to_float(path: str) -> Op:
    """The operation behind ``keras.ops.cast`` of integers to float32."""
    return _op(path, keras.ops.cast(keras.KerasTensor((None,), "int32"), "float32"))


def add(path: str) -> Op:
    """The operation behind ``keras.ops.add``, of two arguments."""
    return _op(path, keras.ops.add(keras.KerasTensor((None,)), 1.0))


def multiply(path: str) -> Op:
    """The operation behind ``keras.ops.multiply``, of two arguments."""
    return _op(path, keras.ops.multiply(keras.KerasTensor((None,)), 1.0))


def subtract(path: str) -> Op:
    """The operation behind ``keras.ops.subtract``, of two arguments."""
    return _op(path, keras.ops.subtract(1.0, keras.KerasTensor((None,))))


def reshape(path: str, shape: Sequence[int]) -> Op:
    """The operation behind ``keras.ops.reshape`` to a shape in which -1 stands for the batch."""
    return _op(path, keras.ops.reshape(keras.KerasTensor((None,)), tuple(shape)))


def split(path: str, parts: int, rank: int) -> Op:
    """The operation behind ``keras.ops.split`` of the last axis into equal parts."""
    return _op(path, keras.ops.split(keras.KerasTensor((None,) * (rank - 1) + (parts,)), parts, axis=-1)[0])


def name_of(op: Op) -> str | None:
    """The class name of a Keras operation that is not a layer, such as "Relu"; None for all else."""
    is_operation = op.template is not None and not isinstance(op.template, keras.layers.Layer)
    return op.kind.__name__ if is_operation and op.kind.__module__.split(".")[0] == "keras" else None


def _op(path: str, result: Any) -> Op:
    operation = _operation_of(result)
    return Op(path, type(operation), template=private.detached(operation))


def _operation_of(result: Any) -> Any:
    node = private.producer(result)
    assert node is not None
    return node.operation
