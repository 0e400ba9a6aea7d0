"""Accessors of Keras' private attributes, which no other module reads (checked against 3.11.3 and 3.15.1)."""

import copy
import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common.symbolic_scope import SymbolicScope
from keras.src.models.functional import Functional


def functional(model: Any) -> Any | None:
    """The functional graph behind a Functional or a built Sequential model; None for anything else.

    A subclass that overrides ``call`` computes something of its own and is not a functional model.
    """
    if isinstance(model, keras.Sequential):
        return model._functional if type(model).call is keras.Sequential.call else None
    return model if isinstance(model, Functional) and type(model).call is Functional.call else None


def input_structure(model: Any) -> Any:
    """The structure of symbolic tensors that a functional model was made with."""
    return model._inputs_struct


def output_structure(model: Any) -> Any:
    """The structure of symbolic tensors that a functional model returns."""
    return model._outputs_struct


def fixed_batch(model: Any) -> int | None:
    """The batch above 1 that a functional model was built on; None where it is dynamic or 1.

    A Sequential without an Input layer is built on the rows that it is first called on, or on `fit`'s batches.
    """
    batches = {tensor.shape[0] for tensor in model.inputs if tensor.shape}
    batch = batches.pop() if len(batches) == 1 else None
    return None if batch in (None, 1) else int(batch)


def calls_in_order(model: Any) -> list[Any]:
    """Every call node of a functional model but its inputs, in an order in which they can be computed."""
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if node.operation and not node.is_input]


def calls_between(inputs: Iterable[Any], outputs: Iterable[Any]) -> list[Any]:
    """The call nodes that lead from some symbolic tensors to others, in an order in which they can be computed."""
    sources = {id(tensor) for tensor in inputs}
    ordered: list[Any] = []
    done: set[int] = set()
    # depth first, without recursion: a node is put out once all that it reads was (``expanded``)
    stack: list[tuple[Any, bool]] = [(producer(tensor), False) for tensor in outputs if id(tensor) not in sources]
    while stack:
        node, expanded = stack.pop()
        if node is None or id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            ordered.append(node)
            continue
        stack.append((node, True))
        stack.extend((producer(tensor), False) for tensor in node.input_tensors if id(tensor) not in sources)
    return ordered


def producer(tensor: Any) -> Any | None:
    """The call node that made a symbolic tensor; None where none did."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    return history.operation._inbound_nodes[history.node_index]


def input_layer(tensor: Any) -> Any:
    """The layer that a model's input tensor belongs to."""
    return tensor._keras_history.operation


def is_optional(tensor: Any) -> bool:
    """True if a model's input may be left out."""
    history = getattr(tensor, "_keras_history", None)
    return history is not None and bool(getattr(history.operation, "optional", False))


def sublayers(layer: Any) -> list[Any]:
    """Every layer below a layer, at any depth."""
    return list(layer._flatten_layers(include_self=False, recursive=True))


def children(layer: Any) -> list[Any]:
    """The layers directly below a layer."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def has_own_build(layer: Any) -> bool:
    """True if a layer's class defines ``build``."""
    return not getattr(type(layer).build, "_is_default", False)


def call_signature(layer: Any) -> inspect.Signature:
    """The arguments of ``layer.call``, without itself."""
    signature: inspect.Signature = layer._call_signature
    return signature


def detached(operation: Any) -> Any:
    """A copy of a weightless operation that shares no call history with the original."""
    twin = copy.copy(operation)
    twin._inbound_nodes = []
    twin._outbound_nodes = []
    return twin


def config_of(layer: Any) -> dict[str, Any]:
    """The layer's configuration, without Keras' warning of lambda functions in it: it is not going to be saved."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*`lambda`")
        config: dict[str, Any] = layer.get_config()
    return config


def functions_of(operation: Any) -> list[Any]:
    """The Python functions that an operation was made with."""
    return [value for value in vars(operation).values() if inspect.isfunction(value)]


def cloned_lambda(layer: Any, config: Mapping[str, Any]) -> Any:
    """A Lambda around the same Python function, without serialising it."""
    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=dict(layer.arguments),
        name=config["name"],
        dtype=config["dtype"],
    )


def build_shapes(layer: Any) -> Mapping[str, Any] | None:
    """The input shapes, by argument name, that a subclassed layer was built with."""
    shapes: Mapping[str, Any] | None = layer._build_shapes_dict
    return shapes


def accepts(layer: Any, argument: str) -> bool:
    """True if ``layer.call`` takes an argument of this name."""
    return argument in layer._call_signature.parameters


def marked_dense(tensor: Any) -> Any:
    """The symbolic tensor, marked as dense: Keras takes the product of a tensor and a constant for sparse."""
    tensor._sparse = False
    return tensor


@contextmanager
def restored_call_history(layer: Any) -> Iterator[None]:
    """Restore the call history of a layer and of all below it afterwards, so that symbolic calls leave no trace."""
    layers = [layer, *sublayers(layer)]
    inner = [f for f in map(functional, layers) if f is not None]
    operations = [*layers, *(operation for f in inner for operation in f.operations)]
    before = [(op, list(op._inbound_nodes), list(op._outbound_nodes)) for op in operations]
    try:
        yield
    finally:
        for op, inbound, outbound in before:
            op._inbound_nodes[:] = inbound
            op._outbound_nodes[:] = outbound


@contextmanager
def restored_attributes(layer: Any) -> Iterator[None]:
    """Restore the attributes of a layer, of all below it and of their metrics afterwards, whatever a call assigns."""
    layers = [layer, *sublayers(layer)]
    holders = [*layers, *(metric for each in layers for metric in each._metrics)]
    before = [(holder, dict(vars(holder))) for holder in holders]
    try:
        yield
    finally:
        for holder, attributes in before:
            vars(holder).clear()
            vars(holder).update(attributes)


@contextmanager
def scratch_call(layer: Any) -> Iterator[None]:
    """Let a layer be called in a graph that is thrown away: no variable is written, and nothing stays on the layer."""
    with restored_call_history(layer), restored_attributes(layer), keras.StatelessScope(), SymbolicScope():
        yield


@contextmanager
def without_losses_and_metrics(layer: Any) -> Iterator[None]:
    """Let a layer, and all below it, add no losses and update no metrics meanwhile."""
    with restored_attributes(layer):
        mute_losses_and_metrics(layer)
        yield


def mute_losses_and_metrics(layer: Any) -> None:
    """Change a layer, and all below it, so that no call adds a loss or updates a metric."""
    for each in (layer, *sublayers(layer)):
        vars(each)["add_loss"] = _ignore
        for metric in each._metrics:
            vars(metric)["update_state"] = _ignore


def _ignore(*_: Any, **__: Any) -> None:
    pass
