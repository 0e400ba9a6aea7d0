"""Order in which BatchNormalization layers are estimated, so that each receives the inputs that it will in service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..graph import Graph, Node, Op, Ref


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Layers that can be estimated in one pass over the data, when all stages before are done.

    Attributes:
        ops: The layers.
        circular: Whether one of them depends on its own output, as a shared layer that is called twice in a row does.
    """

    ops: tuple[Op, ...]
    circular: bool


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """The stages of a graph, in the order of estimation.

    Attributes:
        stages: The stages, the first to be estimated first.
        upstream: By tensor, the layers it depends on, as a bit set.
        bits: By the id of a layer's op, its bit.
    """

    stages: tuple[Stage, ...]
    upstream: Mapping[Ref, int]
    bits: Mapping[int, int]


def plan_order(graph: Graph) -> Order:
    """Plans the fewest stages in which every layer comes after those that feed it; a cycle shares one stage."""
    ops = {id(node.op): node.op for node in graph.batch_norms}
    bits = {key: 1 << position for position, key in enumerate(ops)}
    upstream, needs = _dependencies(graph, bits)
    stages: list[Stage] = []
    done = 0
    while waiting := [key for key in ops if not bits[key] & done]:
        # layers whose dependencies are done, apart from a layer on itself; where none is ready, there is a cycle
        ready = [key for key in waiting if not needs[key] & ~done & ~bits[key]]
        chosen = ready or _cycle(waiting, needs, bits, done)
        mask = sum(bits[key] for key in chosen)
        stages.append(Stage(tuple(ops[key] for key in chosen), any(needs[key] & mask for key in chosen)))
        done |= mask
    return Order(tuple(stages), upstream, bits)


def _dependencies(graph: Graph, bits: Mapping[int, int]) -> tuple[dict[Ref, int], dict[int, int]]:
    """Dependencies of every tensor and of every layer on layers; a layer's are those of all its calls."""
    upstream = {Ref(-1, position): 0 for position in range(len(graph.inputs))}
    needs = dict.fromkeys(bits, 0)
    for node in graph.nodes:
        fed = _any_of(node, upstream)
        if id(node.op) in needs:
            needs[id(node.op)] |= fed
        for position in range(len(node.outputs)):
            upstream[Ref(node.key, position)] = fed | bits.get(id(node.op), 0)
    return upstream, needs


def _any_of(node: Node, upstream: Mapping[Ref, int]) -> int:
    fed = 0
    for ref in node.inputs:
        fed |= upstream[ref]
    return fed


def _cycle(waiting: Sequence[int], needs: Mapping[int, int], bits: Mapping[int, int], done: int) -> list[int]:
    """The smallest set of waiting layers that depend on no waiting layer outside the set."""
    closures = []
    for key in waiting:
        closure = bits[key]
        while (grown := _grown(closure, waiting, needs, bits) & ~done) != closure:
            closure = grown
        closures.append(closure)
    smallest = min(closures, key=int.bit_count)
    return [key for key in waiting if bits[key] & smallest]


def _grown(closure: int, waiting: Sequence[int], needs: Mapping[int, int], bits: Mapping[int, int]) -> int:
    for key in waiting:
        if bits[key] & closure:
            closure |= needs[key]
    return closure
