"""The diagnosis as a list of steps: weights, behaviour, samples, verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..errors import NotFinite, Refused
from ..graph import Graph, trace
from ..naming import NamedModel
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict, rows_of
from ..predictions.scores import Scores, fit_labels, score
from ..recalibration.locate import lent_values
from ..recalibration.recalibrate import MIN_SAMPLES
from ..samples.files import fit_samples, read_samples
from ..samples.synthetic import synthesize
from .behaviour import behaviour_faults
from .constant import constant_faults
from .drift import LayerDrift, threshold
from .effects import Bench, spread_rows
from .evidence import Compared, Evidence, gather
from .finding import RELOAD, Finding, Kind, Severity, ranked
from .measured import drift_faults, whole_faults
from .permuted import find_permutation
from .stored import BY_SAMPLES, dead, exploding, stored_faults, unique_ops

_SYNTHETIC = 32
_TOO_FEW = "samples: {} are few, so that only layers off by more than {:.2g} could be told from chance; give 32 or more"
_SILENCED = {Kind.DEAD_GAIN: dead, Kind.EXPLODING_GAIN: exploding}
_BY_PERMUTATION = (
    Kind.STALE,
    Kind.OTHER_DATA,
    Kind.LAGGING,
    Kind.NEGATIVE_VARIANCE,
    Kind.EXPLODING_GAIN,
    Kind.TINY_VARIANCE,
    Kind.FROZEN_BUT_TRAINED,
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What ails a model.

    Attributes:
        model: Its name.
        batch_norms: How many BatchNormalization layers it has.
        samples: How many samples were given; 0 where none were.
        findings: What is wrong, the gravest first.
        drifts: Every layer's drift, in the order of the graph; empty without samples.
        scores: Of phase 0, by output that has labels.
        phase_1: Phase 1 against phase 0; None without samples.
        recalibrated: On the samples' statistics against phase 0; None without samples.
        notes: What could not be looked for, and what its user should know about how the file was read.
    """

    model: str
    batch_norms: int
    samples: int
    findings: tuple[Finding, ...]
    drifts: tuple[LayerDrift, ...]
    scores: Mapping[str, Scores]
    phase_1: Compared | None
    recalibrated: Compared | None
    notes: tuple[str, ...] = ()

    def has(self, least: Severity) -> bool:
        """Whether a finding is at least as grave."""
        return any(finding.severity.rank <= least.rank for finding in self.findings)


def diagnose(
    model: Any,
    samples: Path | str | Array | Arrays | None = None,
    *,
    labels: Array | Arrays | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Looks for everything that can be wrong with a model's BatchNormalization, and measures what it does.

    Args:
        model: A built `keras.Model`. It is run itself, and every variable is put back bit by bit, also on failure.
        samples: Inputs as the model sees them: a file, a folder of images, an array, or arrays by input name. Without
            them, what needs no data is looked for.
        labels: What the predictions should be, an array or arrays by output name.
        seed: Of the rows that are drawn where no samples are given.

    Raises:
        Refused: The model cannot be read as a graph; the message says what of it.
        SamplesError: The samples do not fit the model.
        LabelsError: The labels do not fit the model or the samples.
    """
    with lent_values(model.variables):
        graph = trace(model)
        named = copied(graph)
        inputs, given = _inputs(graph, named, samples, seed)
        fitted = {} if labels is None else fit_labels(labels, named.outputs, rows_of(inputs))
        right = predict(named, inputs)
        stored = list(stored_faults(graph))
        found = [*_not_finite(right, stored)]
        if not found and not _any_not_finite(right):
            found += behaviour_faults(model, graph, named, inputs, right)
        if not given or not graph.batch_norms:
            return _verdict(graph, [*stored, *found], 0 if not given else rows_of(inputs), None)
        return _with_samples(model, graph, inputs, fitted, right, stored, found)


def _with_samples(
    model: Any, graph: Graph, inputs: Arrays, labels: Arrays, right: Arrays, stored: list[Finding], found: list[Finding]
) -> Diagnosis:
    try:
        evidence = gather(graph, inputs, labels, right)
    except NotFinite as error:
        what = f"the samples' statistics cannot be taken: {error}"
        blocked = Finding(Kind.NON_FINITE, Severity.ERROR, None, what, None, "See the layer that is named.")
        return _verdict(graph, [*stored, *found, *([] if stored else [blocked])], rows_of(inputs), None)
    except Refused as error:  # no fault of the model's
        alone = _verdict(graph, [*stored, *found], rows_of(inputs), None)
        note = f"statistics were not compared with those of the samples: {error}"
        return replace(alone, scores=score(right, labels), notes=(note,))
    found += [*whole_faults(evidence), *constant_faults(evidence, right)]
    weights = [each for each in stored if each.kind not in BY_SAMPLES]
    found += [*_effects(graph, evidence, weights), *drift_faults(evidence)]
    permuted = _permuted(model, evidence, right)
    if permuted:
        found = [permuted, *(each for each in found if each.kind not in _BY_PERMUTATION)]
    return _verdict(graph, found, rows_of(inputs), evidence)


def _verdict(graph: Graph, findings: list[Finding], samples: int, evidence: Evidence | None) -> Diagnosis:
    count = len(unique_ops(graph.batch_norms))
    if evidence is None:
        return Diagnosis(graph.name, count, samples, ranked(findings), (), {}, None, None)
    drifts = tuple(drift for _, drift in evidence.drifts)
    notes = (_TOO_FEW.format(samples, threshold(samples)),) if samples < MIN_SAMPLES else ()
    phase_1, recalibrated = evidence.phase_1, evidence.recalibrated
    return Diagnosis(
        graph.name, count, samples, ranked(findings), drifts, evidence.scores, phase_1, recalibrated, notes
    )


def _inputs(graph: Graph, named: NamedModel, samples: Any, seed: int) -> tuple[dict[str, Array], bool]:
    signature = named.signature()
    if samples is None:
        return synthesize(graph, signature, _SYNTHETIC, seed), False
    if isinstance(samples, str | Path):
        return read_samples(Path(samples), signature), True
    return fit_samples(samples, signature), True


def _any_not_finite(outputs: Arrays) -> bool:
    return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in outputs.values())


def _not_finite(right: Arrays, stored: list[Finding]) -> Iterator[Finding]:
    """Predictions that are no numbers although all weights are."""
    if _any_not_finite(right) and not any(f.kind in (Kind.NON_FINITE, Kind.NEGATIVE_VARIANCE) for f in stored):
        what = "the predictions are not finite, though all weights are"
        remedy = "Look for weights so large that values overflow, and for divisions by 0."
        yield Finding(Kind.NON_FINITE, Severity.ERROR, None, what, None, remedy)


def _effects(graph: Graph, evidence: Evidence, stored: list[Finding]) -> Iterator[Finding]:
    """The stored faults with what they do to the predictions."""
    bench = Bench.of(graph, evidence.inputs)
    ops = {op.path: op for op in unique_ops(graph.batch_norms)}
    whole = max(evidence.recalibrated.changes.values(), key=lambda each: each.size)
    for finding in stored:
        channels = _SILENCED.get(finding.kind)
        effect: Change | None = whole
        if channels is not None and finding.layer is not None:
            effect = bench.silenced(ops[finding.layer], channels)
        yield replace(finding, effect=effect)


def _permuted(model: Any, evidence: Evidence, right: Arrays) -> Finding | None:
    rows = rows_of(evidence.inputs)
    drift = float(np.mean([each.drift for _, each in evidence.drifts]))
    if drift <= threshold(rows):
        return None
    found = find_permutation(model, spread_rows(evidence.inputs, 256), drift)
    if found is None:
        return None
    effects = changes(right, predict(copied(found.graph), evidence.inputs))
    what = (
        f"{found.moved} weights fit the samples if they are put in another order (mean drift {found.drift:.2g} instead"
        f" of {drift:.2g}): a legacy .h5 was loaded into it with other trainable flags than it was saved with"
    )
    effect = max(effects.values(), key=lambda each: each.size)
    return Finding(Kind.PERMUTED, Severity.ERROR, found.scope, what, effect, RELOAD)
