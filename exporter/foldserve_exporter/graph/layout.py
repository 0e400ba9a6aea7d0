"""Channels-first graphs rewritten channels-last: TensorFlow has no channels-first convolution for CPUs.

A tensor is *moved* when it is held as (batch, …, channels) although the model means (batch, channels, …). Layers that
know the layout take moved tensors, what works value by value takes them as they come, and all else gets the tensor as
the model means it. So a Permute stands at the input, and one at the output if that is an image.
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
    if not any(_is_first(node.op) for node in graph.nodes):
        return graph
    return _LayoutRewriter(
        split_activations(graph, _is_first)
    ).run()  # softmax, say, looks at the last axis as it is meant


def is_layout_permute(node: Node) -> bool:
    """True if a node is what `channels_last` put before a layer that took channels first."""
    return node.op.kind is _L.Permute and node.op.name == _LAST


def _is_first(op: Op) -> bool:
    return op.kind in _LAYOUT_AWARE and op.config.get("data_format") == "channels_first"


class _LayoutRewriter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.specs: dict[Ref, TensorInfo] = {Ref(INPUT, i): spec for i, spec in enumerate(graph.inputs)}
        self.moved: dict[Ref, Ref] = {}
        self.meant: dict[Ref, Ref] = {ref: ref for ref in self.specs}
        self.ops: dict[int, Op] = {}
        self.next_key = 1 + max(node.key for node in graph.nodes)

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if _is_first(node.op):
                self._aware(node)
            elif self._takes_moved(node):
                self._along(node)
            else:
                self._add(node.rewired(self._as_meant), moved=False)
        outputs = tuple(map(self._as_meant, self.graph.output_refs))
        return replace(self.graph, nodes=tuple(self.nodes), output_refs=outputs)

    def _aware(self, node: Node) -> None:
        """A layer that knows the layout is told the other one."""
        op = self._once(node.op, {**node.op.config, "data_format": "channels_last"})
        self._add(replace(node.rewired(self._as_moved), op=op), moved=len(node.outputs[0].shape) > 2)

    def _along(self, node: Node) -> None:
        """What works value by value, or along one axis, works on moved tensors."""
        rank = len(node.outputs[0].shape)
        op = node.op
        if op.kind in _AXIS_AWARE:
            op = self._once(op, _axis_moved(op.config, rank))
        self._add(replace(node.rewired(self._as_moved), op=op), moved=True)

    def _takes_moved(self, node: Node) -> bool:
        """True if a node works on moved tensors as well, and has one among its inputs, all of one rank."""
        refs = node.inputs
        ranks = {len(self.graph.spec(ref).shape) for ref in refs}
        if len(ranks) != 1 or not any(self.moved.get(ref) == ref for ref in refs):
            return False
        if node.op.kind in _AXIS_AWARE | _ELEMENTWISE:
            return True
        if node.op.template is not None:
            return operations.name_of(node.op) in _ELEMENTWISE_OPERATIONS and len(refs) == 1
        return node.op.kind is _L.Activation and has_elementwise_activation(node.op)

    def _once(self, op: Op, config: Mapping[str, Any]) -> Op:
        """One new op for a shared one."""
        return self.ops.setdefault(id(op), replace(op, config=config))

    def _add(self, node: Node, moved: bool) -> None:
        specs = tuple(_spec_moved(spec) if moved else spec for spec in node.outputs)
        self.nodes.append(replace(node, outputs=specs))
        for position, spec in enumerate(specs):
            ref = Ref(node.key, position)
            self.specs[ref] = spec
            (self.moved if moved else self.meant)[ref] = ref

    def _as_moved(self, ref: Ref) -> Ref:
        if len(self.graph.spec(ref).shape) < 3:
            return ref
        if ref not in self.moved:
            self.moved[ref] = self._permute(ref, (*range(2, len(self.specs[ref].shape)), 1), _LAST)
        return self.moved[ref]

    def _as_meant(self, ref: Ref) -> Ref:
        if ref not in self.meant:
            rank = len(self.specs[ref].shape)
            self.meant[ref] = self._permute(ref, (rank - 1, *range(1, rank - 1)), "channels_first")
        return self.meant[ref]

    def _permute(self, ref: Ref, dims: Sequence[int], name: str) -> Ref:
        spec = self.specs[ref]
        op = Op(name, _L.Permute, {"name": name, "dtype": "float32", "dims": tuple(dims)})
        shape = (spec.shape[0], *(spec.shape[axis] for axis in dims))
        node = Node(self.next_key, op, (ref,), {}, (TensorInfo(name, shape, spec.dtype),))
        self.next_key += 1
        self.nodes.append(node)
        self.specs[node.ref] = node.outputs[0]
        return node.ref


def _axis_moved(config: Mapping[str, Any], rank: int) -> dict[str, Any]:
    axis = config["axis"]
    axes = [_moved(each % rank, rank) for each in (axis if isinstance(axis, list | tuple) else [axis])]
    return {**config, "axis": axes[0] if len(axes) == 1 else axes}


def _moved(axis: int, rank: int) -> int:
    return axis if axis == 0 else rank - 1 if axis == 1 else axis - 1


def _spec_moved(spec: TensorInfo) -> TensorInfo:
    batch, channels, *sizes = spec.shape
    return replace(spec, shape=(batch, *sizes, channels))
