"""Layers of the user's own whose ``call`` cannot be read: made anew as they are, and deaf to the learning phase.

In a copy, every layer that is told a phase is told inference, whatever it was told before; what lets its input through
outside of training does so always; and a BatchNormalization is its map, or in an unfolded copy on its moving
statistics. That is done before the copy is called for the first time: a `tf.function` keeps what it once traced.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from ..error_text import error_text
from ..errors import Refused
from . import keras_private as private
from .inference_mode import depends_on_phase, has_dropout, is_training_only, overrides_training_only
from .ir import ChannelAffine, Graph, Node, Op, TensorInfo, UnreadableLayer, Weight, as_array

_NORM = keras.layers.BatchNormalization


class UnreadableCall(Exception):
    """A ``call`` does something that symbolic tensors cannot go through; the message says what."""


def read_unreadable(layer: Any, path: str, reason: str) -> UnreadableLayer:
    """What has to be known of a layer to make it anew."""
    paths = {id(each): below for each, below in _paths(layer, path)}
    return UnreadableLayer(layer, reason, tuple(_read_norm(norm, paths[id(norm)]) for norm in _norms(layer)))


def failure_reason(error: Exception) -> str:
    """What stood in the way of a symbolic tensor: almost always that it is none of TensorFlow's."""
    return "it calls TensorFlow's own functions" if "KerasTensor" in str(error) else error_text(error)


def build_like(layer: Any, original: Any) -> None:
    """Have a copy and all below it make their sublayers and weights, as the original has them, without a call."""
    if original.built and not layer.built and private.has_own_build(layer):
        layer.build_from_config(original.get_build_config())
    for below, twin in zip(private.children(layer), private.children(original), strict=True):
        build_like(below, twin)


def silence_training(layer: Any, op: Op) -> None:
    """Change a copy, which nobody has called yet, so that no learning phase changes what it computes.

    Raises:
        Refused: the copy holds other layers than the original.
    """
    unreadable = op.unreadable
    assert unreadable is not None
    norms = _norms(layer)
    if len(norms) != len(unreadable.norms):
        raise Refused(
            f"{op.path}: made again, the {op.kind.__name__} holds {len(norms)} BatchNormalization layers instead of "
            f"{len(unreadable.norms)}. Create them in its constructor or in build(), not while it is called."
        )
    for each in [layer, *private.sublayers(layer)]:
        if overrides_training_only(each):
            raise Refused(custom_training_layer_error(each, op.path))
        if is_training_only(each):
            each.call = _through(each, op.path)
        elif private.accepts(each, "training"):
            each.call = _in_inference(each)
    for norm, map_ in zip(norms, unreadable.affines or [None] * len(norms), strict=True):
        norm.trainable = False  # a class of the user's own may bake a phase into its call
        if map_ is not None:
            norm.call = _affine(norm, map_)


def unreadable_ops(graph: Graph) -> tuple[Op, ...]:
    """The ops of a graph whose layers cannot be read."""
    return tuple({id(n.op): n.op for n in graph.nodes if n.op.unreadable is not None}.values())


def is_savable(op: Op) -> bool:
    """True if a layer may be made anew from a file: whoever does that makes it hear the learning phase again."""
    below = private.sublayers(op.unreadable.layer) if op.unreadable is not None else []
    return not any(depends_on_phase(each) or has_dropout(each) for each in below)


def custom_training_layer_error(layer: Any, path: str) -> str:
    """Why a layer that may be random in inference is refused."""
    base = next(kind.__name__ for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
    return (
        f"{path}: {type(layer).__name__} is a {base} with a call() of its own, which is random in inference or cannot "
        f"be read. Put keras.layers.{base} in its place, or leave it out."
    )


def _paths(layer: Any, path: str) -> Iterator[tuple[Any, str]]:
    yield layer, path
    for below in private.children(layer):
        yield from _paths(below, f"{path}/{below.name}")


def _norms(layer: Any) -> list[Any]:
    return [each for each in private.sublayers(layer) if isinstance(each, _NORM)]


def _read_norm(norm: Any, path: str) -> Node | None:
    if not norm.built:
        return None
    weights = tuple(Weight(variable.name, as_array(variable)) for variable in norm.weights)
    shape: list[int | None] = [None] * norm.input_spec.ndim
    for axis, size in norm.input_spec.axes.items():
        shape[axis] = size
    return Node(
        -1, Op(path, type(norm), norm.get_config(), weights), (), {}, (TensorInfo("", tuple(shape), "float32"),)
    )


def _in_inference(layer: Any) -> Callable[..., Any]:
    signature, call = private.call_signature(layer), layer.call

    def told(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["training"] = False
        return call(*bound.args, **bound.kwargs)

    return told


def _through(layer: Any, path: str) -> Callable[..., Any]:
    """What lets its input through, unless it makes another size of it: a random crop cuts in inference as well."""

    def through(inputs: Any, *_: Any, **__: Any) -> Any:
        for tensor in keras.tree.flatten(inputs):
            if tuple(layer.compute_output_shape(tensor.shape)) != tuple(tensor.shape):
                raise Refused(f"{path}: {layer.name} changes sizes. Put a CenterCrop or a Resizing in its place.")
        return inputs

    return through


def _affine(norm: Any, by: ChannelAffine) -> Callable[..., Any]:
    """The map s·x + t, each rounded once to the dtype that the copy computes in."""

    def mapped(inputs: Any, *_: Any, **__: Any) -> Any:
        x = keras.ops.cast(inputs, norm.compute_dtype)
        after = len(x.shape) - 1 - by.axis % len(x.shape)
        scale, shift = (v.astype(norm.compute_dtype).reshape(-1, *(1,) * after) for v in (by.scale, by.shift))
        return x * scale + shift

    return mapped
