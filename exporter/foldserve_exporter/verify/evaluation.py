"""Outputs of the unfolded graph, computed in a background thread: TensorFlow releases Python's lock."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, rebuild
from ..naming import NamedModel
from ..samples.input_source import refusing_unsuitable
from ..tracing import TracedFunction, traced

_CHUNK = 16  # rows; float64 activations of a large network are large


@dataclass(frozen=True, slots=True, eq=False)
class Unfolded:
    """A model rebuilt from the unfolded graph, and its inference function, which reads the current variables."""

    named: NamedModel
    run: TracedFunction


class Evaluation:
    """Evaluation of a graph in inference, on moving statistics, in several dtypes, one after the other.

    The functions are traced in the caller's thread before any of them runs; at the end of the `with` block none runs.
    """

    def __init__(self, graph: Graph, *inputs: Arrays, drawn: bool = False) -> None:
        """Stores the graph and its inputs, in one or several sizes, and whether some were drawn; `start` begins."""
        self._graph = graph
        self._drawn = drawn
        self._inputs = inputs
        self._thread = ThreadPoolExecutor(1, "evaluation")
        self._parts: dict[str, list[list[Future[dict[str, Array]]]]] = {}
        self._models: dict[str, Unfolded] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def weights_that_are_not_finite(self) -> str:
        """A message that names the layers which hold such weights; empty where none does."""
        holders = {
            f"{node.op.path} ({weight.name})": None
            for node in self._graph.nodes
            for weight in node.op.weights
            if not np.isfinite(weight.value).all()
        }
        return f"weights are not finite in {', '.join(holders)}; restore a good checkpoint" if holders else ""

    def start(self, dtype: str) -> None:
        """Traces the graph in `dtype` and queues its inputs, a few rows at a time."""
        named = NamedModel.of(rebuild(self._graph, dtype), self._graph)
        run = traced(named, training=False)
        self._models[dtype] = Unfolded(named, run)
        self._parts[dtype] = [
            [self._thread.submit(run, chunk) for chunk in _chunks(inputs, dtype)] for inputs in self._inputs
        ]

    def unfolded(self, dtype: str) -> "Unfolded":
        """The model that is evaluated in `dtype`; wait for its outputs before using it otherwise."""
        return self._models[dtype]

    def outputs(self, dtype: str, number: int = 0) -> dict[str, Array]:
        """Waits for the outputs in `dtype` for the inputs of this number.

        Raises:
            Refused: TensorFlow cannot compute the model on these inputs, or on this machine.
        """
        with refusing_unsuitable(self._models[dtype].named.model, drawn=self._drawn):
            parts = [part.result() for part in self._parts[dtype][number]]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunks(inputs: Arrays, dtype: str) -> Iterator[dict[str, Array]]:
    wide = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in inputs.items()}
    for start in range(0, next(iter(wide.values())).shape[0], _CHUNK):
        yield {name: array[start : start + _CHUNK] for name, array in wide.items()}


def evaluate(graph: Graph, dtype: str, inputs: Arrays) -> dict[str, Array]:
    """Computes the unfolded graph's outputs on moving statistics in `dtype`."""
    with Evaluation(graph, inputs) as evaluation:
        evaluation.start(dtype)
        return evaluation.outputs(dtype)
