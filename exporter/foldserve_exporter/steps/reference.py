"""Third step: the verification rows, and the right outputs for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo
from foldserve_contract.signature import Array, Signature

from ..bundle_files import make_golden
from ..options import ExportOptions
from ..samples.input_source import sizes_of
from ..samples.rows import VerificationRows
from ..samples.size_search import sizes_in_words
from ..verify.evaluation import Evaluation, Unfolded
from ..verify.reference import Reference, SizedReference, finish_reference, start_reference
from .draw import DrawnRows, draw_rows
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
        further: A few rows at other sizes of the open dimensions, with the right outputs for them.
        sizes: The sizes of the rows in words; empty where no dimension is open.
    """

    rows: VerificationRows
    reference: Reference
    golden: Golden
    golden_info: GoldenInfo
    given: Array
    unfolded: Unfolded
    further: tuple[SizedReference, ...] = ()
    sizes: str = ""

    @property
    def promised(self) -> dict[str, float]:
        """The tolerance for every engine, by output."""
        return {output: self.reference.promised(output) for output in self.reference.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRun:
    """A reference that is being computed: the rows, and the evaluation of the unfolded graph.

    Attributes:
        drawn: The rows, including those that will be dropped because they would need other tolerances.
        given: Whether the user gave samples.
        seed: Seed of the draw.
        signature: The model's.
        evaluation: The evaluation of the graph in float64 and in float32.
        classes: The outputs that are of class scores, where names of the classes were given.
    """

    drawn: DrawnRows
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
        synthetic = self.drawn.synthetic
        reference, rows = finish_reference(self.evaluation, self.drawn.rows, self.classes)
        info = GoldenInfo(rows.golden, rows.stretched, synthetic, self.seed)
        given = rows.are_samples(golden=not synthetic) & self.given
        golden = make_golden(rows, reference, self.signature)
        unfolded = self.evaluation.unfolded("float32")
        return ReferenceSet(
            rows, reference, golden, info, given, unfolded, self._further(), self._sizes(self.drawn.rows)
        )

    def _further(self) -> tuple[SizedReference, ...]:
        """The references at other sizes."""
        finished = [
            finish_reference(self.evaluation, rows, self.classes, number)
            for number, rows in enumerate(self.drawn.further, 1)
        ]
        return tuple(SizedReference(self._sizes(rows), rows, reference) for reference, rows in finished)

    def _sizes(self, rows: VerificationRows) -> str:
        return sizes_in_words(sizes_of(rows.inputs, self.signature), self.signature)


@contextmanager
def reference_run(folded: FoldedModel, options: ExportOptions) -> Iterator[ReferenceRun]:
    """Draws the rows, and starts the computation of the reference in the background.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
    """
    drawn = draw_rows(folded, options)
    inputs = [rows.judged_inputs for rows in (drawn.rows, *drawn.further)]
    with Evaluation(folded.graph, *inputs, drawn=drawn.synthetic) as evaluation:
        start_reference(evaluation)
        given, seed = options.samples is not None, options.seed
        yield ReferenceRun(drawn, given, seed, folded.signature, evaluation, folded.classified)


def make_reference(folded: FoldedModel, options: ExportOptions) -> ReferenceSet:
    """Draws the rows and waits for the reference.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
        Refused: The model's own outputs are not finite, or cannot be computed on this machine.
    """
    with reference_run(folded, options) as run:
        return run.result()
