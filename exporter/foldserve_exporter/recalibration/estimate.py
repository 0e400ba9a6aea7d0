"""Estimation of every BatchNormalization's moving statistics from the inputs that it will receive in service."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from foldserve_contract.signature import Arrays

from ..errors import NotFinite, Refused
from ..graph import Graph, Op, Ref
from .frontier import Frontier, TensorBatch, advance, first_frontier, onward_refs
from .moments import Moments
from .order import Order, Stage, plan_order
from .statistics import LayerStatistics, axis_of, compared, with_moments
from .subgraph import with_ops

BATCH = 32
MEMORY = 1 << 30
_SWEEPS = 20
_CONVERGED = 1e-4  # of a standard deviation


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedGraph:
    """A graph on statistics of the data.

    Attributes:
        graph: A new graph; the original is unchanged.
        layers: Old and new statistics of each layer, in the order of the graph.
    """

    graph: Graph
    layers: tuple[LayerStatistics, ...]


def estimate(graph: Graph, inputs: Arrays, *, batch_size: int = BATCH, memory: int = MEMORY) -> EstimatedGraph:
    """Sets every layer's statistics to those of its inputs, in inference, layers that feed others first.

    The samples go through the graph once where the tensors between two layers fit into memory, and from the last
    tensors that did where they do not. Calls of a shared layer are pooled.

    Args:
        graph: The model.
        inputs: Samples by input name, in the order of the graph's inputs.
        batch_size: Rows at a time.
        memory: Bytes that may be held between two layers.

    Raises:
        NotFinite: A layer's input is not finite.
        Refused: A layer cannot be estimated; the message names it and why.
    """
    _check_masks(graph)
    order = plan_order(graph)
    frontier = first_frontier(graph, inputs, batch_size)
    estimated: dict[int, Op] = {}
    layers: dict[int, LayerStatistics] = {}
    done = 0
    for stage in order.stages:
        # in the graph on the statistics estimated so far, go from the last frontier to this stage's inputs, and keep
        # the tensors that the later stages start from: final ones, which no layer still to be estimated changes
        current = with_ops(graph, estimated)
        onward = () if _makes_masks(graph) else onward_refs(graph, order, done)
        frontier, moments = _stage_moments(current, order, stage, frontier, onward, memory)
        for op in stage.ops:
            estimated[id(op)] = with_moments(op, moments[id(op)])
            layers[id(op)] = compared(op, moments[id(op)])
            done |= order.bits[id(op)]
    in_order = dict.fromkeys(id(node.op) for node in graph.batch_norms)
    return EstimatedGraph(with_ops(graph, estimated), tuple(layers[key] for key in in_order))


def _stage_moments(
    graph: Graph, order: Order, stage: Stage, frontier: Frontier, onward: tuple[Ref, ...], memory: int
) -> tuple[Frontier, dict[int, Moments]]:
    """Computes the moments of one stage; layers that feed themselves are set repeatedly until they converge."""
    if not stage.circular:
        return _measure(graph, stage, {}, frontier, onward, memory)
    moments: dict[int, Moments] = {}
    for _ in range(_SWEEPS):
        before = moments
        _, moments = _measure(graph, stage, before, frontier, (), memory)
        if before and all(_moved(before[key], moments[key]) < _CONVERGED for key in moments):
            return frontier, moments
    names = sorted(op.path for op in stage.ops)
    raise Refused(
        f"{', '.join(names)}: feeds itself, and its statistics do not converge. Give each call its own layer."
    )


def _measure(
    graph: Graph, stage: Stage, current: Mapping[int, Moments], frontier: Frontier, onward: tuple[Ref, ...], memory: int
) -> tuple[Frontier, dict[int, Moments]]:
    """Computes the stage's moments and the next frontier in one pass over the samples."""
    calls = [(op, node) for op in stage.ops for node in graph.batch_norms if node.op is op]
    swapped = {id(op): with_moments(op, current[id(op)]) for op in stage.ops if id(op) in current}
    moments: dict[int, Moments] = {}

    def see(batch: TensorBatch) -> None:
        for (op, node), array in zip(calls, batch, strict=True):
            batch_moments = Moments.of(array, axis_of(node))
            moments[id(op)] = moments[id(op)].merged(batch_moments) if id(op) in moments else batch_moments

    targets = [node.inputs[0] for _, node in calls]
    after = advance(with_ops(graph, swapped), frontier, targets, onward, memory, see)
    for op in stage.ops:
        _check_finite(op, moments[id(op)])
    return after, moments


def _moved(before: Moments, after: Moments) -> float:
    spread = np.sqrt(after.variance) + np.finfo(np.float32).tiny
    means = np.abs(after.mean - before.mean) / spread
    return float(max(means.max(), (np.abs(np.sqrt(before.variance) - np.sqrt(after.variance)) / spread).max()))


def _check_finite(op: Op, moments: Moments) -> None:
    wrong = int(np.sum(~np.isfinite(moments.mean) | ~np.isfinite(moments.squares)))
    if wrong:
        raise NotFinite(
            f"{op.path}: its input is not finite in {wrong} of {moments.mean.size} channels on these samples,"
            " so that it has no statistics. Look for weights that are not finite before it, or restore a checkpoint."
        )


def _makes_masks(graph: Graph) -> bool:
    """Tests whether a layer makes masks, which travel beside the tensors, so that such a graph is not cut."""
    return any(_masks(node.op) for node in graph.nodes)


def _masks(op: Op) -> bool:
    return issubclass(op.kind, keras.layers.Masking) or bool(op.config.get("mask_zero"))


def _check_masks(graph: Graph) -> None:
    """Refuses a masked BatchNormalization: its statistics leave out masked positions, and masks cannot be traced."""
    masked: set[Ref] = set()
    for node in graph.nodes:
        inherits = any(ref in masked for ref in node.inputs) and len(node.outputs[0].shape) > 2
        if inherits and node in graph.batch_norms:
            raise Refused(
                f"{node.op.path}: it may be fed with a mask, and its statistics leave out masked positions."
                " Recalibrate a model without Masking or mask_zero, or train it further at a small momentum."
            )
        if inherits or _masks(node.op):
            masked.update(Ref(node.key, position) for position in range(len(node.outputs)))
