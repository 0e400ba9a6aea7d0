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
from .step_layers import MergeSteps, PartSteps
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


def lower(
    recorder: Recorder, wrapper: Any, source: Ref, specs: tuple[TensorInfo, ...], path: str, *, masked: bool
) -> list[Ref] | None:
    """Record the nodes that compute what a TimeDistributed does; None where it has to stay as it is.

    Args:
        recorder: The tracer.
        wrapper: The TimeDistributed.
        source: The tensor of steps.
        specs: The spec of its result.
        path: The wrapper's path.
        masked: True if a mask may reach this call.

    Raises:
        Refused: the number of steps is dynamic, and the layer in it reads the mask of a step.
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
    # all others work on steps as rows of the batch
    sizes = (*recorder.specs[source].shape[1:], *specs[0].shape[1:])
    has_open_steps = sizes[0] is None
    if has_open_steps and masked and _reads_masks(layer):
        raise Refused(_masked_steps(path))
    if not has_open_steps and (masked or (None in sizes and not _has_phase(layer))):
        _check_leaf(layer)
        return None
    return [_as_rows(recorder, layer, source, specs[0], path)]


def _as_rows(recorder: Recorder, layer: Any, source: Ref, result: TensorInfo, path: str) -> Ref:
    """Steps to rows, the layer, rows to steps; a pair of reshapes that cancel each other is left out."""
    rows = recorder.rows.get(source)
    if rows is None:
        rows = _merged(recorder, source, f"{path}/rows")
    inner = private.functional(layer)
    if inner is not None:
        answer = recorder.inline(inner, [rows], path)[0]
    else:
        spec = replace(result, shape=(None, *result.shape[2:]))
        scope, _, name = path.rpartition("/")
        answer = recorder.call(layer, (rows,), {}, (spec,), scope, name)[0]
    steps = _parted(recorder, source, answer, result, f"{path}/steps")
    recorder.rows[steps] = answer
    return steps


def _merged(recorder: Recorder, source: Ref, path: str) -> Ref:
    """The steps as rows: a reshape where it needs no size but those that are fixed."""
    sizes = recorder.specs[source].shape[2:]
    if None not in sizes:
        return _reshaped(recorder, source, sizes, path)
    return _stepped(recorder, MergeSteps, (source,), (None, *sizes), path)


def _parted(recorder: Recorder, source: Ref, rows: Ref, result: TensorInfo, path: str) -> Ref:
    """The rows as steps: a reshape where all sizes are fixed, else with the batch and the steps of ``source``."""
    if None not in result.shape[1:]:
        return _reshaped(recorder, rows, result.shape[1:], path)
    return _stepped(recorder, PartSteps, (source, rows), result.shape, path)


def _stepped(recorder: Recorder, kind: type[Any], args: tuple[Ref, ...], shape: Shape, path: str) -> Ref:
    name = path.rsplit("/", 1)[-1]
    spec = TensorInfo(name, shape, recorder.specs[args[-1]].dtype)
    return recorder.record(Op(path, kind, {"name": name, "dtype": "float32"}), args, {}, (spec,))[0]


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


def _masked_steps(path: str) -> str:
    """The message for a mask: traced by TensorFlow, Keras 3.15 takes as many steps as the batch has rows."""
    return (
        f"{path}: over an open number of steps Keras computes a TimeDistributed wrongly in every SavedModel, and what "
        "it wraps reads the mask of each step. Give the Input a fixed number of steps, or take Masking and mask_zero "
        "out of the layers before it."
    )


def _reads_masks(layer: Any) -> bool:
    """True if a layer, or one in it, may compute something else under a mask in inference."""
    return any(
        private.accepts(each, "mask") and not isinstance(each, _L.BatchNormalization) and not private.functional(each)
        for each in (layer, *private.sublayers(layer))
    )


def _check_leaf(layer: Any) -> None:
    if _has_phase(layer):
        raise UnreadableCall("the layer in a TimeDistributed is read where nothing masks")


def _has_phase(layer: Any) -> bool:
    return depends_on_phase(layer) or any(map(depends_on_phase, private.sublayers(layer)))
