"""Results of the verification: each candidate's deviation from the reference, and whether that is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """Comparison of a candidate's output with the reference.

    Attributes:
        deviation: max|candidate − reference| over every batch.
        limit: The largest deviation allowed.
        worst_sample: The judged row that deviates most.
        worst_batch: The kind of batch it was in.
        composition: max difference between a row's outputs in two batches.
        flips: Rows whose top-1 class differs although the reference's margin exceeds twice the limit.
        close_flips: Rows whose top-1 class differs within that margin; counted, not judged.
    """

    deviation: float
    limit: float
    worst_sample: int
    worst_batch: str
    composition: float
    flips: int
    close_flips: int


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """Verdict over a candidate: an artifact in one engine and setting.

    Attributes:
        name: Such as `onnxruntime, optimised`.
        outputs: By output name; empty where the candidate could not be run.
        failures: The reasons of its refusal; empty where it passed.
        exact: Whether it equals the folded model bit for bit; None where that is not to be expected.
    """

    name: str
    outputs: Mapping[str, OutputComparison]
    failures: tuple[str, ...]
    exact: bool | None

    @property
    def passed(self) -> bool:
        """True if the candidate may be published."""
        return not self.failures

    def joined(self, sizes: str, other: "CandidateVerdict") -> "CandidateVerdict":
        """The same verdict, with the failures at other sizes of the open dimensions."""
        failures = (*self.failures, *(f"at {sizes}: {failure}" for failure in other.failures))
        return replace(self, failures=failures, exact=None if self.exact is None else self.exact and other.exact)


@dataclass(frozen=True, slots=True)
class Verification:
    """Verdicts over all candidates of an export.

    Attributes:
        candidates: A verdict for each.
        rows: The number of judged rows.
        explanation: The cause of a failure in words, where a second run showed it; else empty.
        sizes: Other sizes of the open dimensions at which a few rows were judged as well.
    """

    candidates: tuple[CandidateVerdict, ...]
    rows: int
    explanation: str = ""
    sizes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True if there are candidates and every one passed."""
        return bool(self.candidates) and all(candidate.passed for candidate in self.candidates)

    @property
    def failures(self) -> tuple[str, ...]:
        """Every failure, with the candidate's name before it."""
        return tuple(f"{candidate.name}: {failure}" for candidate in self.candidates for failure in candidate.failures)

    def measured(self, output: str) -> float:
        """The worst deviation of an output over all candidates."""
        return max(verdict.deviation for verdict in self._comparisons(output))

    def composition(self, output: str) -> float:
        """The worst difference that neighbours in the batch made to a row of an output."""
        return max(verdict.composition for verdict in self._comparisons(output))

    def _comparisons(self, output: str) -> list[OutputComparison]:
        """Comparisons of every candidate that could be run; the folded model itself always can."""
        return [candidate.outputs[output] for candidate in self.candidates if output in candidate.outputs]

    def deviations(self, prefix: str) -> dict[str, float]:
        """The worst deviation by output over the candidates whose names begin with `prefix`."""
        chosen = [candidate for candidate in self.candidates if candidate.name.startswith(prefix)]
        return {name: max(c.outputs[name].deviation for c in chosen) for name in chosen[0].outputs}
