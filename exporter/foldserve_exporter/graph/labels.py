"""Labels among a model's inputs: a margin such as ArcFace's takes them, and callers do not have them."""

import re
from collections.abc import Iterator

from .ir import INPUT, Graph, Node, Ref, live_nodes
from .losses import layers_before
from .precision import is_custom_code

_LABEL = re.compile(r"(^|_)(labels?|targets?|y|y_true|ground_truth|gt|one_?hot)($|_|\d)", re.IGNORECASE)
_HIGHEST_RANK = 2


def label_notes(graph: Graph) -> Iterator[str]:
    """Notes on inputs that answers depend on and that seem to be labels, with the layer to cut at."""
    for position, spec in enumerate(graph.inputs):
        ref = Ref(INPUT, position)
        reader = _comparing_reader(graph, ref) if len(spec.shape) <= _HIGHEST_RANK else None
        layers = layers_before(graph, reader) if reader is not None else ()
        if reader is not None and layers and (_LABEL.search(spec.name) or is_custom_code(reader.op.kind)):
            yield (
                f"every request must give input {spec.name!r}, which {reader.op.path} reads. If it is the label of "
                f"training, callers do not have it: export --features {_without(graph, ref) or layers[0]}"
            )


def _without(graph: Graph, ref: Ref) -> str:
    """The path of the layer of an output that does not depend on an input; empty where there is none."""
    for output in graph.output_refs:
        if not output.is_input and all(ref not in node.inputs for node in live_nodes(graph.nodes, [output])):
            return graph.node(output.node).op.path
    return ""


def _comparing_reader(graph: Graph, ref: Ref) -> Node | None:
    """The first node that reads a tensor, or what was made of it without weights, beside another tensor."""
    pending = list(graph.readers(ref))
    while pending:
        node = pending.pop(0)
        if len(set(node.inputs)) > 1:
            return node
        if not node.op.weights:
            pending.extend(
                reader for position in range(len(node.outputs)) for reader in graph.readers(Ref(node.key, position))
            )
    return None
