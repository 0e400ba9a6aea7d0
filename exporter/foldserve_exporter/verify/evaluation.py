"""The unfolded graph's answers, computed in a thread of their own: TensorFlow does it without Python's help."""

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

_CHUNK = 16  # float64 activations of a large network are large


@dataclass(frozen=True, slots=True, eq=False)
class Unfolded:
    """A model rebuilt from the unfolded graph, and how it answers in inference, by whatever its variables hold."""

    named: NamedModel
    run: TracedFunction


class Evaluation:
    """A graph on moving statistics in inference, asked in several dtypes, one after the other.

    The functions are traced before anything runs, in the caller's thread; at the end of the `with` nothing runs any
    more.
    """

    def __init__(self, graph: Graph, inputs: Arrays) -> None:
        """Nothing is computed yet."""
        self._graph = graph
        self._inputs = inputs
        self._thread = ThreadPoolExecutor(1, "evaluation")
        self._parts: dict[str, list[Future[dict[str, Array]]]] = {}
        self._asked: dict[str, Unfolded] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def weights_that_are_not_finite(self) -> str:
        """The layers that hold them, in words; empty where none does."""
        holders = {
            f"{node.op.path} ({weight.name})": None
            for node in self._graph.nodes
            for weight in node.op.weights
            if not np.isfinite(weight.value).all()
        }
        return f"weights are not finite in {', '.join(holders)}; restore a good checkpoint" if holders else ""

    def start(self, dtype: str) -> None:
        """Traces the graph in `dtype` and has it asked, a few rows at a time."""
        named = NamedModel.of(rebuild(self._graph, dtype), self._graph)
        run = traced(named, training=False)
        self._asked[dtype] = Unfolded(named, run)
        wide = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in self._inputs.items()}
        rows = next(iter(wide.values())).shape[0]
        chunks = (
            {name: array[start : start + _CHUNK] for name, array in wide.items()} for start in range(0, rows, _CHUNK)
        )
        self._parts[dtype] = [self._thread.submit(run, chunk) for chunk in chunks]

    def unfolded(self, dtype: str) -> "Unfolded":
        """The model that is asked in `dtype`; whoever uses it for something else waits for its outputs first."""
        return self._asked[dtype]

    def outputs(self, dtype: str) -> dict[str, Array]:
        """The answers in `dtype`, once they are there.

        Raises:
            Refused: TensorFlow cannot compute the model on this machine.
        """
        with _said_in_words():
            parts = [part.result() for part in self._parts[dtype]]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def evaluate(graph: Graph, dtype: str, inputs: Arrays) -> dict[str, Array]:
    """The unfolded graph's answers on moving statistics, computed in `dtype`."""
    with Evaluation(graph, inputs) as evaluation:
        evaluation.start(dtype)
        return evaluation.outputs(dtype)


@contextmanager
def _said_in_words() -> Iterator[None]:
    """What TensorFlow cannot compute on a CPU (dilated Conv2DTranspose, say) is a refusal that names it."""
    try:
        yield
    except tf.errors.OpError as error:
        place = re.search(r"\{\{node (?:\S+/)?([^\s/]+)/[^\s/]+\}\}", error.message)
        reason = re.sub(r"\{\{.*?\}\} |\s*\[\[.*|\s*\[Op:.*", "", error.message, flags=re.DOTALL)
        where = place[1] if place else "one of its layers"
        raise Refused(f"the model itself cannot be computed on this machine ({where}): {reason}") from error
