"""The intermediate representation: frozen nodes that call frozen ops, each edge a `Ref`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int | None, ...]
INPUT = -1
"""The `Ref.node` of a model input; `Ref.output` is then the input's position."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Tensor: the ``output``-th result of the node with key ``node``."""

    node: int
    output: int = 0

    @property
    def is_input(self) -> bool:
        """True if this is a model input rather than a node's result."""
        return self.node == INPUT


@dataclass(frozen=True, slots=True)
class Use:
    """Use of a tensor: the node with key ``node`` reads it as the ``position``-th of its inputs."""

    node: int
    position: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, shape (None where dynamic, the batch first) and dtype of a tensor, and whether callers may omit it."""

    name: str
    shape: Shape
    dtype: str
    is_optional: bool = False

    @property
    def is_float(self) -> bool:
        """True if the dtype is a floating one (bfloat16 and float8 too)."""
        return "float" in self.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A named weight, in the order in which the Keras layer lists it."""

    name: str
    value: Array


@dataclass(frozen=True, slots=True, eq=False)
class ChannelAffine:
    """y = scale·x + shift along one axis, in float64."""

    scale: Array
    shift: Array
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class UnreadableLayer:
    """A layer that contains other layers and whose ``call`` cannot be read.

    Attributes:
        layer: The caller's layer, from which copies are built. It is never called and never changed.
        reason: Why the ``call`` cannot be read, in words for a message.
        norms: Every BatchNormalization in it, at any depth, in Keras' order, each as if it stood in a graph by itself;
            None for a layer that was never built.
        affines: The map that each of them computes in inference, once they are folded; a copy computes it in their
            place.
    """

    layer: Any
    reason: str
    norms: tuple["Node | None", ...]
    affines: tuple[ChannelAffine | None, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """The callee of a node: a layer as class, config and weights, or a weightless Keras operation as ``template``.

    Several nodes that call one shared layer hold the same `Op` object.

    Attributes:
        is_loss: True if the layer computes one of TensorFlow's losses.
        refusal: The reason why no model may hold the layer; empty where one may. A graph that was cut before it, or of
            which no answer depends on it, does not hold it any more.
    """

    path: str
    kind: type[Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[Weight, ...] = ()
    template: Any = None
    unreadable: UnreadableLayer | None = None
    is_loss: bool = False
    refusal: str = ""

    @property
    def name(self) -> str:
        """The last part of the path: the layer's own name."""
        return self.path.rsplit("/", 1)[-1]

    def weight(self, name: str) -> Array | None:
        """The value of the weight called ``name``, or None where the layer has none."""
        return next((w.value for w in self.weights if w.name == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Call of an op. Tensors in ``args`` and ``kwargs`` are `Ref` leaves; there is no ``training`` among them.

    ``call`` counts the calls of the same op; ``training`` is the learning phase that the model baked into this call.
    """

    key: int
    op: Op
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[TensorInfo, ...]
    call: int = 0
    training: bool | None = None

    @property
    def ref(self) -> Ref:
        """The node's first output."""
        return Ref(self.key)

    @property
    def inputs(self) -> tuple[Ref, ...]:
        """Every tensor that the call reads, in order, repeated where read twice."""
        return tuple(_refs((self.args, self.kwargs)))

    def with_op(self, op: Op, args: tuple[Any, ...] | None = None) -> "Node":
        """The same node with another op, and other arguments where they are given."""
        return replace(self, op=op, args=self.args if args is None else args)

    def rewired(self, swap: Callable[[Ref], Ref]) -> "Node":
        """The same call reading other tensors."""
        args, kwargs = map_refs((self.args, self.kwargs), swap)
        return replace(self, args=args, kwargs=kwargs)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole model. Nodes stand in topological order; the structures hold positions in ``inputs`` and ``outputs``.

    ``notes`` tell the user which inputs and outputs of the model it lacks.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    output_refs: tuple[Ref, ...]
    input_structure: Any
    output_structure: Any
    notes: tuple[str, ...] = ()
    _by_key: Mapping[int, Node] = field(init=False, repr=False)
    _readers: Mapping[Ref, tuple[Node, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        readers: dict[Ref, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for ref in node.inputs:
                readers[ref].append(node)
        object.__setattr__(self, "_by_key", {node.key: node for node in self.nodes})
        object.__setattr__(self, "_readers", {ref: tuple(nodes) for ref, nodes in readers.items()})

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the flattened input structure."""
        return tuple(spec.name for spec in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the flattened output structure."""
        return tuple(spec.name for spec in self.outputs)

    @property
    def batch_norms(self) -> tuple[Node, ...]:
        """Every call of a BatchNormalization, subclasses included."""
        return tuple(n for n in self.nodes if issubclass(n.op.kind, keras.layers.BatchNormalization))

    def node(self, key: int) -> Node:
        """The node with this key."""
        return self._by_key[key]

    def has_node(self, key: int) -> bool:
        """True if the graph has a node with this key."""
        return key in self._by_key

    def spec(self, ref: Ref) -> TensorInfo:
        """Shape and dtype of a tensor."""
        return self.inputs[ref.output] if ref.is_input else self.node(ref.node).outputs[ref.output]

    def readers(self, ref: Ref) -> tuple[Node, ...]:
        """The nodes that read a tensor, repeated where one reads it twice."""
        return self._readers.get(ref, ())

    def uses(self, ref: Ref) -> tuple[Use, ...]:
        """Every use of a tensor: the node that reads it and the position among that node's inputs."""
        nodes = {node.key: node for node in self.readers(ref)}.values()
        return tuple(Use(n.key, position) for n in nodes for position, source in enumerate(n.inputs) if source == ref)

    def is_output(self, ref: Ref) -> bool:
        """True if a tensor is an output of the model."""
        return ref in self.output_refs


def expand_nodes(graph: Graph, expand: Callable[[Node, int], Iterable[Node]]) -> Graph:
    """The graph with every node replaced by the nodes that ``expand`` returns for it.

    ``expand`` takes the node and the first free key. The last node of an expansion keeps the key of the node that it
    replaces, so that the readers need no change.
    """
    free_key = 1 + max((node.key for node in graph.nodes), default=-1)
    nodes: list[Node] = []
    for node in graph.nodes:
        expansion = list(expand(node, free_key))
        free_key += len(expansion)
        nodes.extend(expansion)
    return replace(graph, nodes=tuple(nodes))


def live_nodes(nodes: Sequence[Node], outputs: Iterable[Ref]) -> tuple[Node, ...]:
    """The live nodes, in their order: those that outputs depend on."""
    needed = {ref.node for ref in outputs}
    live = []
    for node in reversed(nodes):
        if node.key in needed:
            live.append(node)
            needed.update(ref.node for ref in node.inputs)
    return tuple(reversed(live))


def map_refs(structure: Any, swap: Callable[[Ref], Any]) -> Any:
    """The structure with every `Ref` leaf replaced by the result of ``swap``."""
    if isinstance(structure, Ref):
        return swap(structure)
    if isinstance(structure, tuple) and type(structure) is not tuple:
        return structure._make(map_refs(item, swap) for item in structure) if hasattr(structure, "_make") else structure
    if isinstance(structure, list | tuple):
        items = [map_refs(item, swap) for item in structure]
        return items if isinstance(structure, list) else tuple(items)
    if isinstance(structure, Mapping):
        return {key: map_refs(item, swap) for key, item in structure.items()}
    return structure


def _refs(structure: Any) -> Iterator[Ref]:
    if isinstance(structure, Ref):
        yield structure
    elif isinstance(structure, Mapping):
        for item in structure.values():
            yield from _refs(item)
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from _refs(item)


def as_array(variable: Any) -> Array:
    """A copy of a Keras variable's value in the dtype it is stored in."""
    return np.array(variable.numpy() if hasattr(variable, "numpy") else variable)
