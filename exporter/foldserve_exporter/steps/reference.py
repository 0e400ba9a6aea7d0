"""Third step: the verification rows, and the right outputs for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo
from foldserve_contract.signature import Array, Arrays, Signature

from ..bundle_files import make_golden
from ..options import ExportOptions
from ..samples.files import load_samples
from ..samples.rows import MIN_JUDGED, RowRanking, VerificationRows, choose_rows
from ..samples.synthetic import synthesize
from ..verify.evaluation import Evaluation, Unfolded
from ..verify.reference import Reference, finish_reference, start_reference
from ..verify.row_sensitivity import affordable_rows, row_sensitivity
from .fold import FoldedModel


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceSet:
    """The verification rows, and the right outputs for them.

    Attributes:
        rows: The rows, golden ones first.
        reference: The right outputs.
        golden: The golden samples of the bundle.
        golden_info: Their origin.
        given: Mask of the user's samples among the judged rows.
        unfolded: A float32 copy of the model before the fold.
    """

    rows: VerificationRows
    reference: Reference
    golden: Golden
    golden_info: GoldenInfo
    given: Array
    unfolded: Unfolded

    @property
    def promised(self) -> dict[str, float]:
        """The tolerance for every engine, by output."""
        return {output: self.reference.promised(output) for output in self.reference.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRun:
    """A reference that is being computed: the rows, and the evaluation of the unfolded graph.

    Attributes:
        drawn: The rows, including those that will be dropped because they would need other tolerances.
        synthetic: Whether the golden ones are synthetic.
        given: Whether the user gave samples.
        seed: Seed of the draw.
        signature: The model's.
        evaluation: The evaluation of the graph in float64 and in float32.
        classes: The outputs that are of class scores, where names of the classes were given.
    """

    drawn: VerificationRows
    synthetic: bool
    given: bool
    seed: int
    signature: Signature
    evaluation: Evaluation
    classes: frozenset[str]

    def result(self) -> ReferenceSet:
        """Waits for the right outputs.

        Raises:
            Refused: The model's own outputs are not finite, or cannot be computed on this machine.
        """
        reference, rows = finish_reference(self.evaluation, self.drawn, self.classes)
        info = GoldenInfo(rows.golden, rows.stretched, self.synthetic, self.seed)
        given = rows.are_samples(golden=not self.synthetic) & self.given
        golden = make_golden(rows, reference, self.signature)
        return ReferenceSet(rows, reference, golden, info, given, self.evaluation.unfolded("float32"))


@contextmanager
def reference_run(folded: FoldedModel, options: ExportOptions) -> Iterator[ReferenceRun]:
    """Draws the rows, and starts the computation of the reference in the background.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
    """
    drawn, synthetic = _draw_rows(folded, options)
    with Evaluation(folded.graph, drawn.judged_inputs) as evaluation:
        start_reference(evaluation)
        given, seed = options.samples is not None, options.seed
        yield ReferenceRun(drawn, synthetic, given, seed, folded.signature, evaluation, folded.classified)


def make_reference(folded: FoldedModel, options: ExportOptions) -> ReferenceSet:
    """Draws the rows and waits for the reference.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
        Refused: The model's own outputs are not finite, or cannot be computed on this machine.
    """
    with reference_run(folded, options) as run:
        return run.result()


def _draw_rows(folded: FoldedModel, options: ExportOptions) -> tuple[VerificationRows, bool]:
    """Chooses the rows to judge, the first of which become golden; also returns whether those are synthetic."""
    wanted = max(options.golden, MIN_JUDGED)
    synthetic = options.samples is None or options.golden_synthetic
    drawn = synthesize(folded.graph, folded.signature, wanted, options.seed) if synthetic else None
    if drawn is not None and options.samples is None:
        rows = choose_rows(drawn, options.golden, options.seed)
    else:
        assert options.samples is not None
        samples = load_samples(options.samples, folded.signature, folded.unused)
        head, ranking = _head(drawn, options.golden), _ranking(folded, samples, options.seed)
        rows = choose_rows(samples, options.golden, options.seed, head, ranking)
    return rows, synthetic


def _ranking(folded: FoldedModel, samples: Arrays, seed: int) -> RowRanking:
    """The ranking of samples by the folded model: served, and already without dropout."""
    most = affordable_rows(folded.graph, samples)
    return RowRanking(partial(row_sensitivity, folded.model, seed=seed), most)


def _head(drawn: Arrays | None, rows: int) -> Arrays | None:
    return None if drawn is None else {name: array[:rows] for name, array in drawn.items()}
