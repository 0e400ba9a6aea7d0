"""First half of the third step: the rows that the export is verified on."""

from dataclasses import dataclass
from functools import partial

from foldserve_contract.signature import Arrays

from ..options import ExportOptions
from ..samples.files import load_samples
from ..samples.input_source import InputSource, sizes_of, source_for
from ..samples.rows import MIN_JUDGED, RowRanking, VerificationRows, choose_rows, few_rows
from ..verify.row_sensitivity import affordable_rows, row_sensitivity
from .fold import FoldedModel

_FEW = 3


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRows:
    """Rows to verify an export on.

    Attributes:
        rows: Samples, or drawn rows; the first become golden.
        synthetic: Whether the golden ones are drawn.
        further: A few rows at each of two other sizes, where the model has open dimensions and no samples decide them.
    """

    rows: VerificationRows
    synthetic: bool
    further: tuple[VerificationRows, ...] = ()


def draw_rows(folded: FoldedModel, options: ExportOptions) -> DrawnRows:
    """Chooses the rows to judge: the user's samples, whose sizes count, or rows that suit the model.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
        Refused: Nothing that is drawn suits the model.
    """
    samples = None if options.samples is None else load_samples(options.samples, folded.signature, folded.unused)
    sizes = None if samples is None else sizes_of(samples, folded.signature)
    source = source_for(folded.graph, folded.model.model, folded.signature, sizes)
    golden, seed, whole = options.golden, options.seed, source.whole
    if samples is not None and not options.golden_synthetic:
        ranking = _ranking(folded, samples, seed)
        return DrawnRows(choose_rows(samples, golden, seed, ranking=ranking, whole=whole), False)
    drawn = source.draw(max(golden, MIN_JUDGED), seed)
    if samples is None:
        return DrawnRows(choose_rows(drawn, golden, seed, whole=whole), True, _further(source, seed))
    return DrawnRows(choose_rows(samples, golden, seed, _head(drawn, golden), whole=whole), True)


def _further(source: InputSource, seed: int) -> tuple[VerificationRows, ...]:
    numbers = range(1, len(source.sizes))
    return tuple(few_rows(source.draw(_FEW, seed, number), seed, source.whole_at(number)) for number in numbers)


def _ranking(folded: FoldedModel, samples: Arrays, seed: int) -> RowRanking:
    """The ranking of samples by the folded model: served, and already without dropout."""
    most = affordable_rows(folded.graph, samples)
    return RowRanking(partial(row_sensitivity, folded.model, seed=seed), most)


def _head(drawn: Arrays, rows: int) -> Arrays:
    return {name: array[:rows] for name, array in drawn.items()}
