"""Losses among a model's outputs: no part of inference, since they compare answers with labels that callers lack."""

from collections.abc import Sequence
from dataclasses import replace

import keras

from ..errors import Refused
from .ir import Graph, Node, Op, Ref, live_nodes
from .model_checks import check_output
from .unused_inputs import kept_structure

_LOSS_OPERATIONS = ("BinaryCrossentropy", "CTCLoss", "CategoricalCrossentropy", "SparseCategoricalCrossentropy")


def servable_outputs(graph: Graph) -> Graph:
    """The graph with those outputs alone that can be served.

    Raises:
        Refused: All of them are losses, or one has another first dimension than the batch.
    """
    graph = without_losses(graph)
    for spec in graph.outputs:
        check_output(spec.name, spec)
    return graph


def without_losses(graph: Graph) -> Graph:
    """The graph without the outputs that are losses, and with a note that names them.

    A loss is an output that one of the losses of Keras or TensorFlow makes, or one number for a whole batch.

    Raises:
        Refused: There is no other output; the message names the layers of which the loss is computed.
    """
    losses = [position for position in range(len(graph.outputs)) if _is_loss(graph, position)]
    if not losses:
        return graph
    if len(losses) == len(graph.outputs):
        raise Refused(_loss_alone(graph, graph.output_refs[losses[0]], graph.outputs[losses[0]].name))
    kept = [position for position in range(len(graph.outputs)) if position not in losses]
    refs = tuple(graph.output_refs[position] for position in kept)
    names = ", ".join(repr(graph.outputs[position].name) for position in losses)
    return replace(
        graph,
        nodes=live_nodes(graph.nodes, refs),
        outputs=tuple(graph.outputs[position] for position in kept),
        output_refs=refs,
        output_structure=kept_structure(graph.output_structure, kept),
        notes=(*graph.notes, f"output {names}: a loss is no part of inference, and the bundle lacks it"),
    )


def layers_before(graph: Graph, node: Node) -> tuple[str, ...]:
    """Paths of the layers with weights behind them whose results a node compares, those nearest to it."""
    trained, nearest, pending, seen = _trained(graph), dict[str, None](), [node], set[int]()
    while pending:
        reader = pending.pop()
        for key in dict.fromkeys(ref.node for ref in reader.inputs if ref.node in trained and ref.node not in seen):
            seen.add(key)
            above = graph.node(key)
            if _is_layer(above.op):
                nearest[above.op.path] = None
            else:
                pending.append(above)
    return tuple(nearest)


def _is_loss(graph: Graph, position: int) -> bool:
    ref = graph.output_refs[position]
    is_one_number = not graph.outputs[position].shape
    return is_one_number or any(_computes_loss(node) for node in live_nodes(graph.nodes, [ref]))


def _computes_loss(node: Node) -> bool:
    is_operation = node.op.template is not None and node.op.kind.__module__.startswith("keras.")
    return node.op.is_loss or (is_operation and node.op.kind.__name__ in _LOSS_OPERATIONS)


def _loss_alone(graph: Graph, ref: Ref, name: str) -> str:
    above = live_nodes(graph.nodes, [ref])
    loss = next((node for node in above if _computes_loss(node)), above[-1] if above else None)
    layers = () if loss is None else layers_before(graph, loss)
    is_named = loss is not None and _computes_loss(loss)
    one_number = "of shape (), whose first dimension is not the batch: one number for all rows, as a loss is"
    labels = _labels(graph, ref, layers)
    needed = f" It needs {labels}, which callers do not have." if labels else ""
    remedy = f"Export what it is computed from: {_flags(layers)}." if layers else "Export the model from before it."
    what = "a loss" if is_named else one_number
    return f"output {name!r} is {what}. No caller can be answered with it.{needed} {remedy}"


def _flags(layers: Sequence[str]) -> str:
    return " or ".join(f"--features {layer}" for layer in layers[:3])


def _labels(graph: Graph, ref: Ref, layers: Sequence[str]) -> str:
    """The inputs that a loss needs and the layers before it do not."""
    before = [node.ref for node in graph.nodes if node.op.path in layers]
    inputs = _inputs_above(graph, [ref]) - _inputs_above(graph, before) if before else set()
    return ", ".join(repr(graph.inputs[position].name) for position in sorted(inputs))


def _inputs_above(graph: Graph, refs: Sequence[Ref]) -> set[int]:
    nodes = live_nodes(graph.nodes, refs)
    return {ref.output for node in nodes for ref in node.inputs if ref.is_input}


def _trained(graph: Graph) -> set[int]:
    """Keys of the nodes that have weights, or are computed from such."""
    trained: set[int] = set()
    for node in graph.nodes:
        if node.op.weights or any(ref.node in trained for ref in node.inputs):
            trained.add(node.key)
    return trained


def _is_layer(op: Op) -> bool:
    return op.template is None or isinstance(op.template, keras.layers.Layer)
