"""Golden check: an engine's answers to the golden samples, compared with the verified ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from foldserve_contract import tolerance
from foldserve_contract.errors import GoldenMismatch, TensorError
from foldserve_contract.golden import Golden
from foldserve_contract.signature import Array, Arrays

from ..errors import RunFailed
from ..protocol import Engine

DEFAULT_BATCH = 32


@dataclass(frozen=True, slots=True)
class OutputVerdict:
    """Verdict on one output.

    Attributes:
        output: Its name.
        deviation: The worst max|answer − golden| of any sample; NaN or infinity where an answer was.
        sample: The sample that had it.
        batch: How many rows were in the batch that had it.
        bound: What is allowed here, see `golden_bounds`.
    """

    output: str
    deviation: float
    sample: int
    batch: int
    bound: float

    @property
    def passed(self) -> bool:
        """True if the deviation is finite and within the bound."""
        return tolerance.within(self.deviation, self.bound)

    def __str__(self) -> str:
        return (
            f"output {self.output!r}, sample {self.sample} in a batch of {self.batch}: deviates by {self.deviation:.3g}"
            f" from the golden answer; {self.bound:.3g} is allowed"
        )


@dataclass(frozen=True, slots=True)
class GoldenVerdict:
    """Verdict on an engine's answers to the golden samples.

    Attributes:
        samples: How many were asked.
        outputs: One verdict for each output; empty where `problem` says why there are none.
        problem: The engine failed, or gave a wrong name, dtype or shape.
    """

    samples: int
    outputs: tuple[OutputVerdict, ...]
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """True if the engine may be put into service."""
        return self.problem is None and bool(self.outputs) and all(output.passed for output in self.outputs)

    def require(self) -> None:
        """Goes on only if the engine passed.

        Raises:
            GoldenMismatch: It did not; the message names output, sample, deviation and bound.
        """
        if self.problem is not None:
            raise GoldenMismatch(f"the engine cannot answer the golden samples: {self.problem}")
        failed = [str(output) for output in self.outputs if not output.passed]
        if failed or not self.passed:
            raise GoldenMismatch("the engine does not answer as it was verified: " + "; ".join(failed))


def check_golden(
    engine: Engine, golden: Golden, bounds: Mapping[str, float], max_batch_size: int = DEFAULT_BATCH
) -> GoldenVerdict:
    """Runs every golden sample in batches and alone, and compares with the golden answers.

    A mere mismatch raises nothing: see `GoldenVerdict.require`.

    Args:
        engine: What will serve.
        golden: The samples, which fit the engine's signature.
        bounds: By output name, see `golden_bounds`.
        max_batch_size: The largest batch that is run.
    """
    worst: dict[str, OutputVerdict] = {}
    try:
        for start, stop in _slices(golden.rows, max_batch_size):
            answers = engine.run(_rows(golden.inputs, start, stop))
            if engine.signature.check_outputs(answers) != stop - start:
                raise TensorError(f"a batch of {stop - start} rows was not answered with as many")
            for verdict in _verdicts(answers, golden.outputs, bounds, start, stop):
                worst[verdict.output] = _worse(worst.get(verdict.output), verdict)
    except (RunFailed, TensorError) as error:
        return GoldenVerdict(golden.rows, (), str(error))
    return GoldenVerdict(golden.rows, tuple(worst.values()))


def _slices(rows: int, size: int) -> Iterator[tuple[int, int]]:
    if size > 1:
        for start in range(0, rows, size):
            yield start, min(start + size, rows)
    for start in range(rows):
        yield start, start + 1


def _rows(arrays: Arrays, start: int, stop: int) -> dict[str, Array]:
    return {name: array[start:stop] for name, array in arrays.items()}


def _verdicts(
    answers: Arrays, golden: Arrays, bounds: Mapping[str, float], start: int, stop: int
) -> Iterator[OutputVerdict]:
    for name, answer in answers.items():
        for row, sample in enumerate(range(start, stop)):
            deviation = _deviation(answer[row : row + 1], golden[name][sample : sample + 1])
            yield OutputVerdict(name, deviation, sample, stop - start, bounds[name])


def _deviation(answer: Array, reference: Array) -> float:
    if answer.shape != reference.shape:  # a dynamic dimension may differ
        raise TensorError(
            f"a row of shape {list(reference.shape[1:])} was answered with shape {list(answer.shape[1:])}"
        )
    return tolerance.deviation(answer, reference)


def _worse(first: OutputVerdict | None, other: OutputVerdict) -> OutputVerdict:
    return other if first is None or _rank(other.deviation) > _rank(first.deviation) else first


def _rank(deviation: float) -> float:
    return math.inf if math.isnan(deviation) else deviation
