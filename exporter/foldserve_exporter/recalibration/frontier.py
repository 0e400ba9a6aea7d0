"""The frontier of an estimation: intermediate tensors of all batches, moved through the graph layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, Ref
from ..graph.ir import INPUT
from .order import Order
from .subgraph import Subgraph

TensorBatch = list[Array]


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Tensors computed for every batch, from which all later ones can be computed.

    Attributes:
        refs: Their references in the graph.
        batches: Their values, by batch.
    """

    refs: tuple[Ref, ...]
    batches: Sequence[TensorBatch]


def first_frontier(graph: Graph, inputs: Arrays, batch_size: int) -> Frontier:
    """Starts with the model's inputs, as views of the samples."""
    refs = tuple(Ref(INPUT, position) for position in range(len(graph.inputs)))
    arrays = list(inputs.values())
    rows = range(0, len(arrays[0]), batch_size)
    return Frontier(refs, [[array[start : start + batch_size] for array in arrays] for start in rows])


def advance(
    graph: Graph, frontier: Frontier, targets: Sequence[Ref], onward: Sequence[Ref], memory: int,
    see: Callable[[TensorBatch], None],
) -> Frontier:  # fmt: skip
    """Computes the targets of every batch, and along with them the next frontier, where it fits into memory.

    Args:
        graph: The model, with all layers before the targets estimated.
        frontier: The tensors to start from.
        targets: The tensors to compute and pass to `see`.
        onward: The next frontier; empty for none.
        memory: Bytes that a frontier may hold.
        see: Called with the targets of each batch.

    Returns:
        The next frontier, or the given one where the next is too large.
    """
    subgraph = Subgraph(graph, frontier.refs, [*targets, *onward])
    kept: list[TensorBatch] | None = [] if onward else None
    held = 0
    for batch in frontier.batches:
        outputs = subgraph.run(batch)
        see(outputs[: len(targets)])
        held += sum(array.nbytes for array in outputs[len(targets) :])
        # too large: the targets are still computed, but the caller goes on from the given frontier
        if held > memory:
            kept = None
        if kept is not None:
            kept.append(outputs[len(targets) :])
    return frontier if kept is None else Frontier(tuple(onward), kept)


def onward_refs(graph: Graph, order: Order, done: int) -> tuple[Ref, ...]:
    """The tensors that are final once some layers are done, and that nodes which are not final read."""
    return tuple(dict.fromkeys(_border(graph, order, done)))


def _border(graph: Graph, order: Order, done: int) -> Iterator[Ref]:
    for node in graph.nodes:
        if order.upstream[node.ref] & ~done:
            yield from (ref for ref in node.inputs if not order.upstream[ref] & ~done)
