"""Calls of layers of the user's own: what such a layer passes on is left to pass, and what it does not read to go."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import keras

from . import keras_private as private
from .data_flow import DataFlow, data_flow
from .ir import Op, Ref, TensorInfo, map_refs
from .stand_in import StandIn, stand_in_config
from .unreadable_layer import UnreadableCall


class CallRecorder(Protocol):
    """The part of the tracer that such calls are recorded with.

    Attributes:
        masked: True if masks travel beside the tensors of the model.
        specs: Name, shape and dtype of every tensor recorded so far.
    """

    masked: bool
    specs: dict[Ref, TensorInfo]

    def record(self, op: Op, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...]) -> list[Ref]:
        """Adds one node; returns the refs of its results."""

    def symbolic(self, layer: Any, args: Any, kwargs: dict[str, Any], scope: str) -> Any:
        """Records a layer by its ``call`` on symbolic tensors; refs in its output's structure."""

    def as_specified(self, ref: Ref, expected: TensorInfo) -> Ref:
        """The tensor, cast where the other kind of number is expected."""


def record_own_call(
    recorder: CallRecorder,
    layer: Any,
    make_op: Callable[[], Op],
    args: Any,
    kwargs: dict[str, Any],
    specs: tuple[TensorInfo, ...],
    path: str,
) -> list[Ref]:
    """Record a call that is not inlined; returns the refs of its results.

    A result that is an input of the layer is that input. An input of the model that no result depends on, such as the
    labels of a loss, is left out of the call: by following the call where that can be, else by zeros in its place.
    """
    is_deaf_to_masks = recorder.masked and not getattr(layer, "supports_masking", False)
    flow = None if is_deaf_to_masks else data_flow(layer, args, kwargs, recorder.specs)
    if flow is None or len(flow.passed) != len(specs):
        return recorder.record(make_op(), args, kwargs, specs)
    passed = [
        None if ref is None else recorder.as_specified(ref, spec) for ref, spec in zip(flow.passed, specs, strict=True)
    ]
    if None not in passed:
        return [ref for ref in passed if ref is not None]
    computed = _computed(recorder, layer, make_op, flow, args, kwargs, specs, path)
    return [own if ref is None else ref for ref, own in zip(passed, computed, strict=True)]


def _computed(
    recorder: CallRecorder,
    layer: Any,
    make_op: Callable[[], Op],
    flow: DataFlow,
    args: Any,
    kwargs: dict[str, Any],
    specs: tuple[TensorInfo, ...],
    path: str,
) -> list[Ref]:
    """The results of a call that computes something, without the model's inputs that it does not read."""
    unread = _unread_inputs(flow, args, kwargs)
    if unread and not recorder.masked:
        try:
            return list(keras.tree.flatten(recorder.symbolic(layer, args, kwargs, path)))
        except UnreadableCall:
            args, kwargs = _with_stand_ins(recorder, flow, unread, args, kwargs, path)
    op = make_op()
    return recorder.record(replace(op, is_loss=True) if flow.is_loss else op, args, kwargs, specs)


def _unread_inputs(flow: DataFlow, args: Any, kwargs: Mapping[str, Any]) -> set[Ref]:
    unread: set[Ref] = set()
    map_refs((args, dict(kwargs)), lambda ref: unread.add(ref) if ref.is_input and ref not in flow.read else None)
    return unread if flow.read else set()


def _with_stand_ins(
    recorder: CallRecorder, flow: DataFlow, unread: set[Ref], args: Any, kwargs: dict[str, Any], path: str
) -> tuple[Any, dict[str, Any]]:
    """The arguments with zeros, one row for each of a tensor that is read, in the place of unread inputs."""
    like = min(flow.read, key=lambda ref: (ref.node, ref.output))
    zeros: dict[Ref, Ref] = {}
    for ref in sorted(unread, key=lambda ref: ref.output):
        spec = recorder.specs[ref]
        op = Op(f"{path}/{spec.name}", StandIn, stand_in_config(spec))
        zeros[ref] = recorder.record(op, (like,), {}, (spec,))[0]
    placed: tuple[Any, dict[str, Any]] = map_refs((tuple(args), dict(kwargs)), lambda ref: zeros.get(ref, ref))
    return placed


def is_own_layer(operation: Any) -> bool:
    """True if an operation is a layer whose code is not Keras' own."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    is_stock = type(operation).__module__.split(".")[0] == "keras"
    return isinstance(operation, keras.layers.Lambda) or (not is_stock and private.functional(operation) is None)
