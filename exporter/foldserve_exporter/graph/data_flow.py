"""Data flow through a layer of the user's own: which of its inputs an output is, or depends on.

Layers that add a loss or count a metric take labels and return what they were given: in inference they do nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from . import keras_private as private
from .ir import Ref, TensorInfo, map_refs

_LOSS_OPERATION = re.compile(r"CTCLoss|ctc_loss|CrossEntropy")
_UNCHANGED = ("Identity", "StopGradient")


@dataclass(frozen=True, slots=True)
class DataFlow:
    """Data flow through one call.

    Attributes:
        passed: By output, the input that it is; None where it is computed.
        read: The inputs that some computed output depends on.
        is_loss: True if a computed output is made by one of TensorFlow's losses.
    """

    passed: tuple[Ref | None, ...]
    read: frozenset[Ref]
    is_loss: bool


def data_flow(layer: Any, args: Any, kwargs: Mapping[str, Any], specs: Mapping[Ref, TensorInfo]) -> DataFlow | None:
    """The data flow through a layer's call in inference, by TensorFlow's graph of it; None where there is none.

    The layer comes back unchanged: whatever the call assigns is put back, and no variable is written.
    """
    refs: dict[Any, Ref] = {}  # by the placeholder's operation

    def placeholder(ref: Ref) -> Any:
        tensor = tf.compat.v1.placeholder(specs[ref].dtype, specs[ref].shape)
        refs[tensor.op] = ref
        return tensor

    phase = {"training": False} if private.accepts(layer, "training") else {}
    try:
        with private.scratch_call(layer), tf.__internal__.FuncGraph("data_flow").as_default():
            placed_args, placed_kwargs = map_refs((tuple(args), dict(kwargs)), placeholder)
            results = keras.tree.flatten(layer(*placed_args, **{**placed_kwargs, **phase}))
    except Exception:  # somebody's code may raise anything; then nothing is known of it
        return None
    return _flow(results, refs) if all(map(tf.is_tensor, results)) else None


def _flow(results: list[Any], refs: Mapping[Any, Ref]) -> DataFlow:
    passed = tuple(refs.get(_origin(tensor).op) for tensor in results)
    computed = [tensor for tensor, source in zip(results, passed, strict=True) if source is None]
    operations = _operations_above(computed)
    read = frozenset(refs[operation] for operation in operations if operation in refs)
    is_loss = any(_LOSS_OPERATION.search(f"{operation.type} {operation.name}") for operation in operations)
    return DataFlow(passed, read, is_loss)


def _origin(tensor: Any) -> Any:
    """The tensor of which another is a copy, perhaps in another precision."""
    while tensor.op.type in _UNCHANGED or (tensor.op.type == "Cast" and _is_rounding(tensor.op)):
        tensor = tensor.op.inputs[0]
    return tensor


def _is_rounding(cast: Any) -> bool:
    return bool(cast.inputs[0].dtype.is_floating and cast.outputs[0].dtype.is_floating)


def _operations_above(tensors: Iterable[Any]) -> set[Any]:
    """Every operation that tensors depend on."""
    above: set[Any] = set()
    pending = [tensor.op for tensor in tensors]
    while pending:
        operation = pending.pop()
        if operation not in above:
            above.add(operation)
            pending.extend(tensor.op for tensor in operation.inputs)
    return above
