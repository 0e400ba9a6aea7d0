"""The reference: the unfolded graph on moving statistics in float64, and how far float32 alone is from it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..errors import Refused
from ..graph import Graph, rebuild
from ..naming import NamedModel
from ..samples.rows import VerificationRows

_CHUNK = 8  # float64 activations of a large network are large


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What is right, and how exactly it can be asked for.

    Attributes:
        outputs: The float64 model's answers to the judged rows, by output.
        float32: The unfolded float32 model's answers, by output.
        noise: max|float32 − reference|, by output.
        scale: max|reference|, by output.
    """

    outputs: Arrays
    float32: Arrays
    noise: dict[str, float]
    scale: dict[str, float]

    def limit(self, output: str) -> float:
        """The largest deviation from the reference that a candidate may have on the judged rows; 0 for integers."""
        if self.outputs[output].dtype.kind != "f":
            return 0.0
        return tolerance.limit(self.noise[output], self.scale[output])

    def bound(self, output: str) -> float:
        """What then holds for inputs nobody has seen."""
        return tolerance.bound(self.limit(output))

    def promised(self, output: str) -> float:
        """The tolerance that every engine on any machine must keep."""
        limit = self.limit(output)
        return tolerance.promised(limit, self.scale[output]) if limit else 0.0


def compute_reference(graph: Graph, rows: VerificationRows) -> tuple[Reference, VerificationRows]:
    """Evaluates the unfolded graph in float64 and in float32.

    Gives the rows back without the stretched ones that would need tolerances of their own.

    Raises:
        Refused: An answer is not finite, so that nothing could be compared with it.
    """
    outputs = evaluate(graph, "float64", rows.judged_inputs)
    plain = ~rows.is_stretched
    _require_finite(_select(outputs, plain))
    float32 = evaluate(graph, "float32", rows.judged_inputs)
    noise = {name: tolerance.deviation(float32[name][plain], outputs[name][plain]) for name in outputs}
    scale = {name: tolerance.scale(array[plain]) for name, array in outputs.items()}
    kept: Array = np.logical_or(plain, _as_exact(outputs, float32, noise, scale))
    return Reference(_select(outputs, kept), _select(float32, kept), noise, scale), rows.keep(kept)


def _as_exact(outputs: Arrays, float32: Arrays, noise: dict[str, float], scale: dict[str, float]) -> Array:
    """Rows whose answers are hardly larger or noisier than those of the samples: the same tolerances suit them."""
    half = {name: tolerance.limit(noise[name], scale[name]) / 4 for name in outputs}
    exact = [
        tolerance.within(tolerance.deviation(float32[name][row], array[row]), half[name])
        and bool(np.all(np.abs(array[row]) <= 2 * scale[name]))
        for name, array in outputs.items()
        for row in range(array.shape[0])
    ]
    by_output: list[Array] = np.split(np.array(exact), len(outputs))
    in_every_output: Array = np.logical_and.reduce(by_output)
    return in_every_output


def _select(arrays: Arrays, rows: Array) -> dict[str, Array]:
    return {name: array[rows] for name, array in arrays.items()}


def evaluate(graph: Graph, dtype: str, inputs: Arrays) -> dict[str, Array]:
    """The unfolded graph's answers on moving statistics, computed in `dtype`, a few rows at a time."""
    model = NamedModel.of(rebuild(graph, dtype), graph)
    wide = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in inputs.items()}
    rows = next(iter(wide.values())).shape[0]
    with _said_in_words():
        parts = [
            model.run({name: array[start : start + _CHUNK] for name, array in wide.items()})
            for start in range(0, rows, _CHUNK)
        ]
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.output_names}


@contextmanager
def _said_in_words() -> Iterator[None]:
    """What TensorFlow cannot compute on a CPU (dilated Conv2DTranspose, say) is a refusal that names it."""
    try:
        yield
    except tf.errors.OpError as error:
        layer = re.search(r"calling (\w+)\.call", error.message)
        reason = re.search(r"\}\} (.*?) \[Op:", error.message, re.DOTALL)
        raise Refused(
            f"the model itself cannot be computed on this machine ({layer[1] if layer else 'one of its layers'}):"
            f" {reason[1] if reason else error.message}"
        ) from error


def _require_finite(outputs: Arrays) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise Refused(
                f"output {name!r} of the model itself is not finite for sample {row}:"
                " look for overflow, or give samples as the model expects them"
            )
