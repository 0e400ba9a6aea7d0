"""A fault of a model: its kind, its severity and its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..predictions.change import Change

GRAVE = 0.25  # share of the predictions that changes
_NOTICED = 0.05


class Severity(StrEnum):
    """The degree to which a fault matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """The place among the severities; 0 for the gravest."""
        return list(Severity).index(self)


class FindingKind(StrEnum):
    """The kind of a fault."""

    NON_FINITE = "non-finite weights"
    NEGATIVE_VARIANCE = "negative variance"
    PERMUTED = "permuted weights"
    BAKED_PHASE = "baked learning phase"
    LIVE_RANDOMNESS = "live augmentation or noise"
    MOVING_STATISTICS = "predict moves the statistics"
    NEIGHBOURS = "answers depend on the batch"
    RANDOM = "answers are random"
    PREDICT_DIFFERS = "predict is not inference"
    CONSTANT = "answers never change"
    SCALING_FAULT = "scaling fault"
    PHASE_GAP = "learning phases apart"
    FROZEN_BUT_TRAINED = "frozen, but trained on batch statistics"
    UNTOUCHED = "untouched statistics"
    LAGGING = "lagging statistics"
    OTHER_DATA = "statistics of other data"
    STALE = "stale statistics"
    TINY_VARIANCE = "tiny variance"
    EXPLODING_GAIN = "exploding gain"
    DEAD_GAIN = "dead channels"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault with all that is needed to act on it.

    Attributes:
        kind: The kind of fault.
        severity: The degree to which it matters.
        layer: The path of the layer; None for the model as a whole.
        what: The fault in words, with numbers.
        effect: The change of the predictions by it, in the output that changes most; None where it was not measured.
        remedy: The next step for the user.
    """

    kind: FindingKind
    severity: Severity
    layer: str | None
    what: str
    effect: Change | None
    remedy: str


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the gravest first, and among equals those that change the predictions most."""
    order = list(FindingKind)
    return tuple(sorted(findings, key=lambda f: (f.severity.rank, -size_of(f.effect), order.index(f.kind))))


def size_of(effect: Change | None) -> float:
    """The share of the predictions that changes; 0 where that was not measured."""
    return 0.0 if effect is None else effect.size


def severity_of(effect: Change | None, least: Severity = Severity.NOTE) -> Severity:
    """The severity of a change of the predictions; never less than `least`."""
    size = size_of(effect)
    severity = Severity.ERROR if size >= GRAVE else Severity.WARNING if size >= _NOTICED else Severity.NOTE
    return min(severity, least, key=lambda candidate: candidate.rank)


RECALIBRATE = (
    "Recalibrate on unlabelled samples as the model will see them: diagnose-model --samples FILE --fix OUT.keras,"
    " or export-model --recalibrate FILE."
)
REMOVE_PHASE = (
    "Remove training=True from the code that builds the model; export-model does so for the artifacts it writes."
)
EXPORT = "Export with export-model, whose artifacts have no such thing in them, rather than with model.export()."
RELOAD = "Build the model, load the weights with the trainable flags they were saved with, and freeze afterwards."
DIAGNOSE = "diagnose-model runs the model as given, and says what of it that is."
RETRAIN = "Restore a good checkpoint, or train the layer again; foldserve cannot know what its weights should be."
