"""Checks of single calls: sizes that a bypassed layer keeps, and operations that take functions."""

from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from .ir import TensorInfo
from .unreadable_layer import UnreadableCall


def check_size(path: str, source: TensorInfo, result: TensorInfo) -> None:
    """Check that a layer which is bypassed changes no size.

    Raises:
        Refused: It does: a random crop cuts in training alone.
    """
    if source.shape != result.shape:
        raise Refused(
            f"{path}: outside of training it lets tensors of {source.shape} through whole, though the layers "
            f"behind it are made for {result.shape}. Put a CenterCrop or a Resizing in the place of a RandomCrop."
        )


def check_plain(call: Any) -> None:
    """Refuse an operation that takes functions, such as ``keras.ops.cond``: the tensors they capture stay unseen.

    Raises:
        UnreadableCall: an argument, or something that the operation was made with, is a function.
    """
    if isinstance(call.operation, keras.layers.Layer):
        return
    leaves = [*keras.tree.flatten((call.arguments.args, call.arguments.kwargs)), *private.functions_of(call.operation)]
    if any(callable(leaf) for leaf in leaves):
        raise UnreadableCall(
            f"it gives functions to {call.operation.name!r}, a {type(call.operation).__name__} of keras.ops"
        )
