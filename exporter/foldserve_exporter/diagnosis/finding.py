"""One thing that is wrong with a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..predictions.change import Change


class Severity(StrEnum):
    """How much it matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


class Kind(StrEnum):
    """What it is."""

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
    """A fault, told so that one can act on it.

    Attributes:
        kind: What it is.
        severity: How much it matters.
        layer: The path of the layer; None for the model as a whole.
        what: What was found, with numbers.
        effect: How the predictions change by it, in the output that changes most; None where that was not measured.
        remedy: What to do.
    """

    kind: Kind
    severity: Severity
    layer: str | None
    what: str
    effect: Change | None
    remedy: str


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, and among equals those that change the predictions most."""
    order = list(Kind)
    return tuple(sorted(findings, key=lambda f: (f.severity.rank, -_size(f), order.index(f.kind))))


def _size(finding: Finding) -> float:
    return 0.0 if finding.effect is None else finding.effect.size


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
