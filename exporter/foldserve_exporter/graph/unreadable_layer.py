"""Custom layers whose ``call`` cannot be read: copied as they are, with the learning phase fixed to inference.

In a copy, every layer that takes a `training` argument gets False, whatever it was called with; a layer that returns
its input outside of training always does so; and a BatchNormalization computes its folded map, or in an unfolded copy
its moving statistics. All of that is set before the first call of the copy: a `tf.function` keeps its first trace.
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
    """A ``call`` that symbolic tensors cannot go through; the message names the operation that stands in the way."""


class RandomCall(UnreadableCall):
    """A ``call`` that draws random numbers in inference; the message is that of the refusal."""


def read_unreadable(layer: Any, path: str, reason: str) -> UnreadableLayer:
    """Record what a copy of a layer needs: the layer, its normalizations, and the ``reason`` for messages."""
    paths = {id(sublayer): below for sublayer, below in _paths(layer, path)}
    return UnreadableLayer(layer, reason, tuple(_read_norm(norm, paths[id(norm)]) for norm in _norms(layer)))


def failure_reason(error: Exception) -> str:
    """Words for an error on symbolic tensors; almost always TensorFlow was given one that is not its own."""
    return "it calls TensorFlow's own functions" if "KerasTensor" in str(error) else error_text(error)


def build_like(layer: Any, original: Any) -> None:
    """Build a copy and all layers below it as the original is built, without a call: sublayers and weights."""
    if original.built and not layer.built and private.has_own_build(layer):
        layer.build_from_config(original.get_build_config())
    for below, twin in zip(private.children(layer), private.children(original), strict=True):
        build_like(below, twin)


def silence_training(layer: Any, op: Op) -> None:
    """Change a copy that was not called yet so that no learning phase changes what it computes.

    Raises:
        Refused: the copy holds other layers than the original.
    """
    unreadable = op.unreadable
    assert unreadable is not None
    # the copy's normalizations pair up with the recorded ones by position
    norms = _norms(layer)
    if len(norms) != len(unreadable.norms):
        raise Refused(
            f"{op.path}: made again, the {op.kind.__name__} holds {len(norms)} BatchNormalization layers instead of "
            f"{len(unreadable.norms)}. Create them in its constructor or in build(), not while it is called."
        )
    # no layer in it learns of training
    for sublayer in [layer, *private.sublayers(layer)]:
        if overrides_training_only(sublayer):
            raise Refused(custom_training_layer_error(sublayer, op.path))
        if is_training_only(sublayer):
            sublayer.call = _identity_call(sublayer, op.path)
        elif private.accepts(sublayer, "training"):
            sublayer.call = _inference_call(sublayer)
    # normalizations compute the folded maps, or their moving statistics where nothing is folded yet
    for norm, affine in zip(norms, unreadable.affines or [None] * len(norms), strict=True):
        norm.trainable = False  # a custom class may bake a phase into its call
        if affine is not None:
            norm.call = _affine_call(norm, affine)


def unreadable_ops(graph: Graph) -> tuple[Op, ...]:
    """The ops of a graph whose layers cannot be read."""
    return tuple({id(n.op): n.op for n in graph.nodes if n.op.unreadable is not None}.values())


def is_savable(op: Op) -> bool:
    """True if a layer may be loaded from a file again, where nothing fixes the learning phase to inference."""
    below = private.sublayers(op.unreadable.layer) if op.unreadable is not None else []
    return not any(depends_on_phase(sublayer) or has_dropout(sublayer) for sublayer in below)


def custom_training_layer_error(layer: Any, path: str) -> str:
    """The message for a custom layer that may be random in inference."""
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
    return [sublayer for sublayer in private.sublayers(layer) if isinstance(sublayer, _NORM)]


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


def _inference_call(layer: Any) -> Callable[..., Any]:
    """The layer's own ``call`` with ``training=False``."""
    signature, call = private.call_signature(layer), layer.call

    def call_in_inference(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["training"] = False
        return call(*bound.args, **bound.kwargs)

    return call_in_inference


def _identity_call(layer: Any, path: str) -> Callable[..., Any]:
    """A ``call`` that returns its input; refuses where sizes change: a random crop cuts in inference as well."""

    def identity(inputs: Any, *_: Any, **__: Any) -> Any:
        for tensor in keras.tree.flatten(inputs):
            if tuple(layer.compute_output_shape(tensor.shape)) != tuple(tensor.shape):
                raise Refused(f"{path}: {layer.name} changes sizes. Put a CenterCrop or a Resizing in its place.")
        return inputs

    return identity


def _affine_call(norm: Any, affine: ChannelAffine) -> Callable[..., Any]:
    """A ``call`` that computes s·x + t, with s and t rounded once to the dtype that the copy computes in."""

    def affine_map(inputs: Any, *_: Any, **__: Any) -> Any:
        x = keras.ops.cast(inputs, norm.compute_dtype)
        after = len(x.shape) - 1 - affine.axis % len(x.shape)
        scale, shift = (v.astype(norm.compute_dtype).reshape(-1, *(1,) * after) for v in (affine.scale, affine.shift))
        return x * scale + shift

    return affine_map
