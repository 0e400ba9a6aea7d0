"""Compares a candidate's answers with the reference."""

import math
from collections.abc import Iterator

import numpy as np

from foldserve_contract import tolerance
from foldserve_contract.signature import Array, Signature

from .batches import BATCH_WORDS, CandidateOutputs, VerificationBatch
from .reference import Reference
from .verdict import CandidateVerdict, OutputComparison


def judge(
    name: str,
    answers: CandidateOutputs,
    batches: tuple[VerificationBatch, ...],
    reference: Reference,
    signature: Signature,
    exact_as: CandidateOutputs | None = None,
) -> CandidateVerdict:
    """Judges one candidate; `exact_as` are outputs for the first of the batches, to be equalled bit for bit."""
    malformed = tuple(_malformed(answers, batches, signature))
    if malformed:
        return CandidateVerdict(name, {}, malformed[:1], None)
    outputs = {spec.name: _judge_output(spec.name, answers, batches, reference) for spec in signature.outputs}
    exact = None if exact_as is None else _equal(answers, exact_as)
    failures = [failure for output, verdict in outputs.items() for failure in _failures(output, verdict)]
    if exact is False:
        failures.append("reloaded in the same runtime it does not answer with the same bits")
    return CandidateVerdict(name, outputs, tuple(failures), exact)


def _malformed(
    answers: CandidateOutputs, batches: tuple[VerificationBatch, ...], signature: Signature
) -> Iterator[str]:
    """A message for every output that is missing, or whose dtype or shape differs from the signature's."""
    for batch, outputs in zip(batches, answers.outputs, strict=True):
        for spec in signature.outputs:
            array = outputs.get(spec.name)
            if array is None:
                yield f"output {spec.name!r} is missing; it has {sorted(outputs)}"
            elif array.dtype != np.dtype(spec.dtype) or not spec.accepts(array.shape):
                yield f"output {spec.name!r} is {array.dtype}{list(array.shape)}, not {spec.dtype}{list(spec.shape)}"
            elif array.shape[0] != len(batch.rows):
                yield f"output {spec.name!r} has {array.shape[0]} rows for a batch of {len(batch.rows)}"


def _judge_output(
    output: str, answers: CandidateOutputs, batches: tuple[VerificationBatch, ...], reference: Reference
) -> OutputComparison:
    expected, limit = reference.outputs[output], reference.limit(output)
    has_classes = reference.has_classes(output)
    worst, worst_sample, worst_batch, composition = 0.0, 0, "", 0.0
    flips: set[int] = set()
    close: set[int] = set()
    first: dict[int, Array] = {}
    # NaN is the worst deviation and stays; a row's later outputs are compared with those in its first batch
    for row, kind, answer in _rows(output, answers, batches, expected.shape[0]):
        deviation = _row_deviation(answer, expected[row])
        if not math.isnan(worst) and (math.isnan(deviation) or deviation > worst):
            worst, worst_sample, worst_batch = deviation, row, kind
        composition = np.fmax(composition, _row_deviation(answer, first.setdefault(row, answer)))
        if has_classes and (margin := _flip_margin(answer, expected[row])) is not None:
            (flips if margin > 2 * limit else close).add(row)  # within twice the limit both may be right
    return OutputComparison(worst, limit, worst_sample, worst_batch, float(composition), len(flips), len(close))


def _rows(
    output: str, answers: CandidateOutputs, batches: tuple[VerificationBatch, ...], judged: int
) -> Iterator[tuple[int, str, Array]]:
    for batch, outputs in zip(batches, answers.outputs, strict=True):
        for position, row in enumerate(batch.rows):
            if row < judged:
                yield row, batch.kind, outputs[output][position]


def _row_deviation(answer: Array, expected: Array) -> float:
    return tolerance.deviation(answer, expected) if answer.shape == expected.shape else float("inf")


def _flip_margin(answer: Array, expected: Array) -> float | None:
    """The reference's margin between first and second class where the candidate's first class differs, else None."""
    if expected.ndim != 1 or expected.size < 2 or expected.dtype.kind != "f" or answer.shape != expected.shape:
        return None
    if int(np.argmax(answer)) == int(np.argmax(expected)):
        return None
    second, first = np.partition(expected, -2)[-2:]
    return float(first - second)


def _equal(answers: CandidateOutputs, other: CandidateOutputs) -> bool:
    return all(
        np.array_equal(mine[name], theirs[name], equal_nan=True)
        for mine, theirs in zip(answers.outputs, other.outputs, strict=False)
        for name in theirs
    )


def _failures(output: str, verdict: OutputComparison) -> Iterator[str]:
    if not tolerance.within(verdict.deviation, verdict.limit):
        yield (
            f"output {output!r} deviates by {verdict.deviation:.3g} for sample {verdict.worst_sample}"
            f" {BATCH_WORDS[verdict.worst_batch]}; {verdict.limit:.3g} is allowed"
        )
    if verdict.flips:
        yield f"output {output!r} answers another class for {verdict.flips} samples with a clear margin"
