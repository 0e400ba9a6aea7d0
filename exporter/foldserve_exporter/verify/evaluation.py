"""Outputs of the unfolded graph, computed in a background thread: TensorFlow releases Python's lock."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from ..errors import Refused
from ..graph import Graph, rebuild
from ..naming import NamedModel
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

    def __init__(self, graph: Graph, inputs: Arrays) -> None:
        """Stores the graph and its inputs; `start` begins the computation."""
        self._graph = graph
        self._inputs = inputs
        self._thread = ThreadPoolExecutor(1, "evaluation")
        self._parts: dict[str, list[Future[dict[str, Array]]]] = {}
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
        wide = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in self._inputs.items()}
        rows = next(iter(wide.values())).shape[0]
        chunks = (
            {name: array[start : start + _CHUNK] for name, array in wide.items()} for start in range(0, rows, _CHUNK)
        )
        self._parts[dtype] = [self._thread.submit(run, chunk) for chunk in chunks]

    def unfolded(self, dtype: str) -> "Unfolded":
        """The model that is evaluated in `dtype`; wait for its outputs before using it otherwise."""
        return self._models[dtype]

    def outputs(self, dtype: str) -> dict[str, Array]:
        """Waits for the outputs in `dtype`.

        Raises:
            Refused: TensorFlow cannot compute the model on this machine.
        """
        with _refusing_what_tensorflow_lacks():
            parts = [part.result() for part in self._parts[dtype]]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def evaluate(graph: Graph, dtype: str, inputs: Arrays) -> dict[str, Array]:
    """Computes the unfolded graph's outputs on moving statistics in `dtype`."""
    with Evaluation(graph, inputs) as evaluation:
        evaluation.start(dtype)
        return evaluation.outputs(dtype)


@contextmanager
def _refusing_what_tensorflow_lacks() -> Iterator[None]:
    """Refuses, by the layer's name, an operation that TensorFlow lacks on a CPU (such as dilated Conv2DTranspose)."""
    try:
        yield
    except tf.errors.OpError as error:
        place = re.search(r"\{\{node (?:\S+/)?([^\s/]+)/[^\s/]+\}\}", error.message)
        reason = re.sub(r"\{\{.*?\}\} |\s*\[\[.*|\s*\[Op:.*", "", error.message, flags=re.DOTALL)
        where = place[1] if place else "one of its layers"
        raise Refused(f"the model itself cannot be computed on this machine ({where}): {reason}") from error
