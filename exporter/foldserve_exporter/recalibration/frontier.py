"""How far the samples have come through the graph, batch by batch, while layer after layer is estimated."""

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
    """Tensors that are known for every batch, and from which all others can be computed.

    Attributes:
        refs: Which ones.
        batches: Their values.
    """

    refs: tuple[Ref, ...]
    batches: Sequence[TensorBatch]


def first_frontier(graph: Graph, inputs: Arrays, batch_size: int) -> Frontier:
    """The model's inputs, as views of the samples."""
    refs = tuple(Ref(INPUT, position) for position in range(len(graph.inputs)))
    arrays = list(inputs.values())
    rows = range(0, len(arrays[0]), batch_size)
    return Frontier(refs, [[array[start : start + batch_size] for array in arrays] for start in rows])


def advance(
    graph: Graph, frontier: Frontier, targets: Sequence[Ref], onward: Sequence[Ref], memory: int,
    see: Callable[[TensorBatch], None],
) -> Frontier:  # fmt: skip
    """Computes the targets of every batch, and the next frontier with them where it fits into memory.

    Args:
        graph: The model, with all layers before the targets estimated.
        frontier: Where to start.
        targets: What to compute and show.
        onward: The next frontier; empty for none.
        memory: How many bytes a frontier may hold.
        see: Is shown the targets of each batch.

    Returns:
        The next frontier, or the one given where the next is too large.
    """
    section = Subgraph(graph, frontier.refs, [*targets, *onward])
    kept: list[TensorBatch] | None = [] if onward else None
    held = 0
    for batch in frontier.batches:
        outputs = section.run(batch)
        see(outputs[: len(targets)])
        held += sum(array.nbytes for array in outputs[len(targets) :])
        if held > memory:
            kept = None
        if kept is not None:
            kept.append(outputs[len(targets) :])
    return frontier if kept is None else Frontier(tuple(onward), kept)


def onward_refs(graph: Graph, order: Order, done: int) -> tuple[Ref, ...]:
    """The tensors that are final once some layers are done, and that what is not final yet reads."""
    return tuple(dict.fromkeys(_border(graph, order, done)))


def _border(graph: Graph, order: Order, done: int) -> Iterator[Ref]:
    for node in graph.nodes:
        if order.upstream[node.ref] & ~done:
            yield from (ref for ref in node.inputs if not order.upstream[ref] & ~done)
