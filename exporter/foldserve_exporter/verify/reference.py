"""The reference: the unfolded graph on moving statistics in float64, and how far float32 alone is from it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Arrays

from ..class_scores import are_probabilities
from ..errors import Refused
from ..samples.rows import VerificationRows
from .evaluation import Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The right outputs, and the precision that float32 reaches.

    Attributes:
        outputs: The float64 model's outputs for the judged rows, by name.
        noise: max|float32 − reference|, by output.
        scale: max|reference|, by output.
        classes: The outputs that are of class scores, by the names given for them.
    """

    outputs: Arrays
    noise: dict[str, float]
    scale: dict[str, float]
    classes: frozenset[str] = frozenset()

    def has_classes(self, output: str) -> bool:
        """Tests whether the largest element of an output is its answer: by its names or as a distribution."""
        return output in self.classes or are_probabilities(self.outputs[output])

    def limit(self, output: str) -> float:
        """The largest deviation from the reference that a candidate may have on the judged rows; 0 for integers."""
        if self.outputs[output].dtype.kind != "f":
            return 0.0
        return tolerance.limit(self.noise[output], self.scale[output])

    def bound(self, output: str) -> float:
        """The largest deviation on any other inputs, given that limit."""
        return tolerance.bound(self.limit(output))

    def promised(self, output: str) -> float:
        """The tolerance for every engine on every machine."""
        limit = self.limit(output)
        return tolerance.promised(limit, self.scale[output]) if limit else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SizedReference:
    """Right outputs for a few rows at other sizes of the open dimensions.

    Attributes:
        sizes: The sizes in words, such as `image 96×64`.
        rows: The rows.
        reference: The right outputs.
    """

    sizes: str
    rows: VerificationRows
    reference: Reference


def start_reference(evaluation: Evaluation) -> None:
    """Starts the evaluation of the unfolded graph in float64 and in float32."""
    evaluation.start("float64")
    evaluation.start("float32")


def finish_reference(
    evaluation: Evaluation, rows: VerificationRows, classes: frozenset[str] = frozenset(), number: int = 0
) -> tuple[Reference, VerificationRows]:
    """Waits for the reference; returns it and the rows without the stretched ones that would need other tolerances.

    Args:
        evaluation: The evaluation in float64 and in float32.
        rows: The rows that are evaluated.
        classes: The outputs that are of class scores.
        number: Which of the inputs of the evaluation they are.

    Raises:
        Refused: An output is not finite, so that nothing could be compared with it, or TensorFlow cannot compute it.
    """
    outputs = evaluation.outputs("float64", number)
    plain = ~rows.is_stretched
    _require_finite(_select(outputs, plain), evaluation.weights_that_are_not_finite)
    float32 = evaluation.outputs("float32", number)
    noise = {name: tolerance.deviation(float32[name][plain], outputs[name][plain]) for name in outputs}
    scale = {name: tolerance.scale(array[plain]) for name, array in outputs.items()}
    kept: Array = np.logical_or(plain, _as_exact(outputs, float32, noise, scale))
    return Reference(_select(outputs, kept), noise, scale, classes), rows.keep(kept)


def _as_exact(outputs: Arrays, float32: Arrays, noise: dict[str, float], scale: dict[str, float]) -> Array:
    """Mask of the rows with outputs hardly larger or noisier than the samples', so that the same tolerances fit."""
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


def _require_finite(outputs: Arrays, why: Callable[[], str]) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise Refused(
                f"output {name!r} of the model itself is not finite for sample {row}:"
                f" {why() or 'look for overflow, or give samples as the model expects them'}"
            )
