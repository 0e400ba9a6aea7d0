"""Inputs that no answer depends on, such as the labels of a loss: a graph without them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .ir import INPUT, Graph, Node, Ref


def without_unused_inputs(graph: Graph) -> Graph:
    """The graph with those inputs alone that its outputs depend on, and a note that names the others.

    A graph whose outputs depend on no input keeps them all: its answers have as many rows as these.
    """
    read = {ref.output for node in graph.nodes for ref in node.inputs if ref.is_input}
    kept = sorted(read | {ref.output for ref in graph.output_refs if ref.is_input})
    if not kept or len(kept) == len(graph.inputs):
        return graph
    dropped = [spec.name for position, spec in enumerate(graph.inputs) if position not in kept]
    return replace(
        graph,
        nodes=tuple(_rewired(node, kept) for node in graph.nodes),
        inputs=tuple(graph.inputs[position] for position in kept),
        output_refs=tuple(_moved(ref, kept) for ref in graph.output_refs),
        input_structure=kept_structure(graph.input_structure, kept),
        notes=(*graph.notes, _note(dropped)),
    )


def kept_structure(structure: Any, kept: list[int]) -> Any:
    """The structure of positions with the kept ones alone, each as its place among these; no structure around one."""
    pruned = _pruned(structure, kept)
    return 0 if len(kept) == 1 and not isinstance(structure, Mapping) else pruned


def _pruned(structure: Any, kept: list[int]) -> Any:
    """None where nothing of a structure is kept."""
    if isinstance(structure, int):
        return kept.index(structure) if structure in kept else None
    if isinstance(structure, Mapping):
        items = {key: _pruned(value, kept) for key, value in structure.items()}
        return {key: value for key, value in items.items() if value is not None} or None
    values = [value for value in (_pruned(item, kept) for item in structure) if value is not None]
    return (values if isinstance(structure, list) else tuple(values)) or None


def _rewired(node: Node, kept: list[int]) -> Node:
    return node.rewired(lambda ref: _moved(ref, kept)) if any(ref.is_input for ref in node.inputs) else node


def _moved(ref: Ref, kept: list[int]) -> Ref:
    return Ref(INPUT, kept.index(ref.output)) if ref.is_input else ref


def _note(names: list[str]) -> str:
    inputs = f"input {names[0]!r}" if len(names) == 1 else f"inputs {', '.join(map(repr, names))}"
    return (
        f"{inputs}: no answer depends on it, and the bundle lacks it"
        if len(names) == 1
        else (f"{inputs}: no answer depends on them, and the bundle lacks them")
    )
