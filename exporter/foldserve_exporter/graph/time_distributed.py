"""Lowering of TimeDistributed: the steps become rows of the batch, or the layer works on all of them at once.

Keras unrolls a TimeDistributed into one copy of the layer for each step, or into a loop where the number of steps is
dynamic.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import keras

from ..errors import Refused
from . import keras_private as private
from . import operations
from .inference_mode import depends_on_phase, is_training_only
from .ir import Op, Ref, Shape, TensorInfo
from .unreadable_layer import UnreadableCall

_L = keras.layers
POINTWISE = (_L.Dense, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Activation, _L.Identity, _L.Rescaling)


class Recorder(Protocol):
    """The part of the tracer that a lowering writes nodes with.

    Attributes:
        masked: True if masks travel beside the tensors of the model.
        specs: Name, shape and dtype of every tensor recorded so far.
        rows: For a tensor of steps that was made by a reshape of rows, the tensor of rows.
    """

    masked: bool
    specs: dict[Ref, TensorInfo]
    rows: dict[Ref, Ref]

    def op(self, operation: Any, path: str) -> Op:
        """The op for a Keras layer or operation, one for all of its calls."""

    def record(self, op: Op, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...]) -> list[Ref]:
        """Adds one node; returns the refs of its results."""

    def inline(self, model: Any, refs: list[Ref], scope: str) -> list[Ref]:
        """Records a functional model whose inputs are ``refs``; returns the refs of its outputs, flat."""

    def call(
        self,
        operation: Any,
        args: Any,
        kwargs: dict[str, Any],
        specs: tuple[TensorInfo, ...],
        scope: str,
        name: str | None = None,
    ) -> list[Ref]:
        """Records one call of a layer or operation; returns the refs of its results."""


def lower(recorder: Recorder, wrapper: Any, source: Ref, specs: tuple[TensorInfo, ...], path: str) -> list[Ref] | None:
    """Record the nodes that compute what a TimeDistributed does; None where it has to stay as it is.

    Raises:
        Refused: the number of steps is dynamic.
        UnreadableCall: it has to stay, and contains BatchNormalization or dropout.
    """
    layer = wrapper.layer
    # a layer that treats every step alike works on all steps at once; where the steps come from rows, on the rows
    if is_training_only(layer):
        return [source]
    if source not in recorder.rows and isinstance(layer, _L.BatchNormalization):
        return recorder.record(_shifted(recorder.op(layer, path)), (source,), {}, specs)
    if source not in recorder.rows and type(layer) in POINTWISE:
        return recorder.record(recorder.op(layer, path), (source,), {}, specs)
    # all others work on steps as rows of the batch, for which every size has to be fixed
    sizes = (*recorder.specs[source].shape[1:], *specs[0].shape[1:])
    if sizes[0] is None:
        raise Refused(_dynamic_steps(path))
    if recorder.masked or None in sizes:
        _check_leaf(layer)
        return None
    return [_as_rows(recorder, layer, source, specs[0], path)]


def _as_rows(recorder: Recorder, layer: Any, source: Ref, result: TensorInfo, path: str) -> Ref:
    """Steps to rows, the layer, rows to steps; a pair of reshapes that cancel each other is left out."""
    rows = recorder.rows.get(source)
    if rows is None:
        rows = _reshaped(recorder, source, recorder.specs[source].shape[2:], f"{path}/rows")
    inner = private.functional(layer)
    if inner is not None:
        answer = recorder.inline(inner, [rows], path)[0]
    else:
        spec = replace(result, shape=(None, *result.shape[2:]))
        scope, _, name = path.rpartition("/")
        answer = recorder.call(layer, (rows,), {}, (spec,), scope, name)[0]
    steps = _reshaped(recorder, answer, result.shape[1:], f"{path}/steps")
    recorder.rows[steps] = answer
    return steps


def _reshaped(recorder: Recorder, source: Ref, shape: Shape, path: str) -> Ref:
    op = operations.reshape(path, (-1, *(int(n or 0) for n in shape)))
    spec = TensorInfo(path.rsplit("/", 1)[-1], (None, *shape), recorder.specs[source].dtype)
    return recorder.record(op, (source,), {}, (spec,))[0]


def _shifted(op: Op) -> Op:
    """The BatchNormalization on all steps at once; in the wrapper its axis was counted within a step."""
    axis = op.config["axis"]
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    config: Mapping[str, Any] = {**op.config, "axis": axis + 1 if axis > 0 else axis}
    return replace(op, config=config)


def _dynamic_steps(path: str) -> str:
    """The message for dynamic steps: traced by TensorFlow, Keras 3.15 takes as many steps as the batch has rows."""
    return (
        f"{path}: over an open number of steps Keras computes a TimeDistributed wrongly in every SavedModel. "
        "Give the Input a fixed number of steps."
    )


def _check_leaf(layer: Any) -> None:
    if depends_on_phase(layer) or any(map(depends_on_phase, private.sublayers(layer))):
        raise UnreadableCall("the layer in a TimeDistributed is read where every size is fixed and nothing masks")
