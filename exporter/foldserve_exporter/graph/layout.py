"""Layout pass, channels-first to channels-last: TensorFlow has no channels-first convolution for CPUs.

A tensor is *transposed* when it is held as (batch, …, channels) although the model has it as (batch, channels, …).
Layout-aware layers take transposed tensors, elementwise layers take either, and all other layers get the tensor in the
model's own layout. So there is a Permute behind an image input, and one before an image output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from . import operations
from .elementwise import has_elementwise_activation, split_activations
from .ir import INPUT, Graph, Node, Op, Ref, TensorInfo

_L = keras.layers
_STEMS = (
    "Conv", "DepthwiseConv", "SeparableConv", "AveragePooling", "MaxPooling", "GlobalAveragePooling",
    "GlobalMaxPooling", "ZeroPadding", "Cropping", "UpSampling",
)  # fmt: skip
_SIZED = [stem + rank for stem in _STEMS for rank in ("1D", "2D", "3D")]
_LAYOUT_AWARE = frozenset(
    getattr(_L, name)
    for name in [*_SIZED, *(f"Conv{n}DTranspose" for n in (1, 2, 3)), "Flatten", "Resizing", "CenterCrop"]
    if hasattr(_L, name)
)
_LAST = "channels_last"
_AXIS_AWARE = frozenset((_L.BatchNormalization, _L.Concatenate, _L.Softmax))
_ELEMENTWISE = frozenset(
    (_L.ReLU, _L.LeakyReLU, _L.ELU, _L.Identity, _L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum)
)
_ELEMENTWISE_OPERATIONS = frozenset(
    ("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "Sigmoid", "HardSigmoid", "HardSilu", "Tanh")
)


def channels_last(graph: Graph) -> Graph:
    """The graph with every channels-first layer made channels-last; the graph itself where there is none."""
    if not any(_is_channels_first(node.op) for node in graph.nodes):
        return graph
    # softmax, for one, works along the last axis of the model's own layout
    graph = split_activations(graph, _is_channels_first)
    return _LayoutRewriter(graph).run()


def is_layout_permute(node: Node) -> bool:
    """True if a node is a Permute that `channels_last` inserted before a channels-first layer."""
    return node.op.kind is _L.Permute and node.op.name == _LAST


def _is_channels_first(op: Op) -> bool:
    return op.kind in _LAYOUT_AWARE and op.config.get("data_format") == "channels_first"


class _LayoutRewriter:
    """Run over a graph: ``transposed`` and ``modelled`` map a tensor of the model to its form in that layout."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.specs: dict[Ref, TensorInfo] = {Ref(INPUT, i): spec for i, spec in enumerate(graph.inputs)}
        self.transposed: dict[Ref, Ref] = {}
        self.modelled: dict[Ref, Ref] = {ref: ref for ref in self.specs}
        self.ops: dict[int, Op] = {}
        self.next_key = 1 + max(node.key for node in graph.nodes)

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if _is_channels_first(node.op):
                self._switch(node)
            elif self._takes_transposed(node):
                self._pass_through(node)
            else:
                self._add(node.rewired(self._as_modelled), transposed=False)
        outputs = tuple(map(self._as_modelled, self.graph.output_refs))
        return replace(self.graph, nodes=tuple(self.nodes), output_refs=outputs)

    def _switch(self, node: Node) -> None:
        """Switch a layout-aware layer to channels-last."""
        op = self._new_op(node.op, {**node.op.config, "data_format": "channels_last"})
        self._add(replace(node.rewired(self._as_transposed), op=op), transposed=len(node.outputs[0].shape) > 2)

    def _pass_through(self, node: Node) -> None:
        """Let a layer that is elementwise, or works along one axis, work on transposed tensors."""
        rank = len(node.outputs[0].shape)
        op = node.op
        if op.kind in _AXIS_AWARE:
            op = self._new_op(op, _transposed_axis_config(op.config, rank))
        self._add(replace(node.rewired(self._as_transposed), op=op), transposed=True)

    def _takes_transposed(self, node: Node) -> bool:
        """True if a node can work on transposed tensors and has one among its inputs, all of one rank."""
        refs = node.inputs
        ranks = {len(self.graph.spec(ref).shape) for ref in refs}
        if len(ranks) != 1 or not any(self.transposed.get(ref) == ref for ref in refs):
            return False
        if node.op.kind in _AXIS_AWARE | _ELEMENTWISE:
            return True
        if node.op.template is not None:
            return operations.name_of(node.op) in _ELEMENTWISE_OPERATIONS and len(refs) == 1
        return node.op.kind is _L.Activation and has_elementwise_activation(node.op)

    def _new_op(self, op: Op, config: Mapping[str, Any]) -> Op:
        """The new op for an op; one for all nodes that share it."""
        return self.ops.setdefault(id(op), replace(op, config=config))

    def _add(self, node: Node, transposed: bool) -> None:
        specs = tuple(_transposed_spec(spec) if transposed else spec for spec in node.outputs)
        self.nodes.append(replace(node, outputs=specs))
        for position, spec in enumerate(specs):
            ref = Ref(node.key, position)
            self.specs[ref] = spec
            (self.transposed if transposed else self.modelled)[ref] = ref

    def _as_transposed(self, ref: Ref) -> Ref:
        if len(self.graph.spec(ref).shape) < 3:
            return ref
        if ref not in self.transposed:
            self.transposed[ref] = self._permute(ref, (*range(2, len(self.specs[ref].shape)), 1), _LAST)
        return self.transposed[ref]

    def _as_modelled(self, ref: Ref) -> Ref:
        if ref not in self.modelled:
            rank = len(self.specs[ref].shape)
            self.modelled[ref] = self._permute(ref, (rank - 1, *range(1, rank - 1)), "channels_first")
        return self.modelled[ref]

    def _permute(self, ref: Ref, dims: Sequence[int], name: str) -> Ref:
        spec = self.specs[ref]
        op = Op(name, _L.Permute, {"name": name, "dtype": "float32", "dims": tuple(dims)})
        shape = (spec.shape[0], *(spec.shape[axis] for axis in dims))
        node = Node(self.next_key, op, (ref,), {}, (TensorInfo(name, shape, spec.dtype),))
        self.next_key += 1
        self.nodes.append(node)
        self.specs[node.ref] = node.outputs[0]
        return node.ref


def _transposed_axis_config(config: Mapping[str, Any], rank: int) -> dict[str, Any]:
    axis = config["axis"]
    axes = [_transposed_axis(a % rank, rank) for a in (axis if isinstance(axis, list | tuple) else [axis])]
    return {**config, "axis": axes[0] if len(axes) == 1 else axes}


def _transposed_axis(axis: int, rank: int) -> int:
    return axis if axis == 0 else rank - 1 if axis == 1 else axis - 1


def _transposed_spec(spec: TensorInfo) -> TensorInfo:
    batch, channels, *sizes = spec.shape
    return replace(spec, shape=(batch, *sizes, channels))
