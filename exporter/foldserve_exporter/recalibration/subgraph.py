"""A subgraph of a graph: from source tensors to target tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np

from foldserve_contract.signature import Array

from ..graph import Graph, Op, Ref, TensorInfo, rebuild
from ..graph.ir import INPUT, live_nodes


class Subgraph:
    """A subgraph that computes target tensors from source tensors, in inference."""

    def __init__(self, graph: Graph, sources: Sequence[Ref], targets: Sequence[Ref]) -> None:
        """Builds the subgraph's model; a target may be a source."""
        self._model = rebuild(extract_subgraph(graph, sources, targets))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Computes the targets of one batch."""
        outputs = self._model([keras.ops.convert_to_tensor(array) for array in arrays], training=False)
        return [
            np.asarray(output) for output in keras.tree.flatten(outputs)
        ]  # Keras returns a single output without a list


def extract_subgraph(graph: Graph, sources: Sequence[Ref], targets: Sequence[Ref]) -> Graph:
    """Extracts the subgraph whose inputs are the sources and whose outputs are the targets, both as lists."""
    entries = {ref: Ref(INPUT, position) for position, ref in enumerate(sources)}

    def swap(ref: Ref) -> Ref:
        return entries.get(ref, ref)

    wanted = tuple(swap(ref) for ref in targets)
    nodes = live_nodes([node.rewired(swap) for node in graph.nodes], wanted)
    return Graph(
        name="subgraph",
        nodes=nodes,
        inputs=_named("subgraph_input", [graph.spec(ref) for ref in sources]),
        outputs=_named("subgraph_output", [graph.spec(ref) for ref in targets]),
        output_refs=wanted,
        input_structure=list(range(len(sources))),
        output_structure=list(range(len(targets))),
    )


def with_ops(graph: Graph, ops: Mapping[int, Op]) -> Graph:
    """Replaces ops of a graph, by their ids."""
    nodes = tuple(replace(node, op=ops.get(id(node.op), node.op)) for node in graph.nodes)
    return Graph(
        graph.name,
        nodes,
        graph.inputs,
        graph.outputs,
        graph.output_refs,
        graph.input_structure,
        graph.output_structure,
    )


def _named(name: str, specs: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
    return tuple(replace(spec, name=f"{name}_{position}") for position, spec in enumerate(specs))
