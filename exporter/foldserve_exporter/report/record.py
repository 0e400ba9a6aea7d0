"""Everything an export found, as one frozen record: `report.json` is this, and `report.html` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from foldserve_contract.manifest import FoldEntry, GoldenInfo, OutputTolerance, Recalibration, Source
from foldserve_contract.signature import Signature

from ..diagnosis.drift import LayerDrift
from ..diagnosis.finding import Finding
from ..predictions.change import Change
from ..predictions.scores import Scores
from ..verify.verdict import Verification


@dataclass(frozen=True, slots=True)
class RecalibrationEffect:
    """Moving statistics estimated anew, and what that did to the predictions on the same samples.

    Attributes:
        info: What the manifest says of it.
        changes: By output, before against after.
        before, after: Scores by output; empty without labels.
    """

    info: Recalibration
    changes: Mapping[str, Change]
    before: Mapping[str, Scores]
    after: Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class Report:
    """One export, published or refused.

    Attributes:
        published: Whether the version was put in its place.
        findings: What is wrong with the model as it was given, the gravest first.
        drifts: How far every BatchNormalization is from the user's samples; empty where none were given.
        examined: On how many of the user's samples.
        baked: Calls with a learning phase baked in; there is none in the artifacts.
        phases: The unfolded model's outputs in phase 0 against phase 1.
        narrow: Layers that compute, or may compute, in float32 in the float64 reference too: it is no more exact there.
        predict: max|`predict` of the untouched model − reference| by output; judged by nobody.
        sensitivity: Smallest relative change of a median weight that the golden samples notice, by kernel.
        labels: The names of the classes, where they were given.
        preprocessing: What was put before the model, where something was.
        recalibration: What estimating the moving statistics anew did; None where that was not asked for.
        warnings: What the user should know, in words.
        seconds: How long each step took.
    """

    model: str
    version: int
    published: bool
    created: str
    source: Source
    tools: Mapping[str, str]
    host: str
    signature: Signature
    findings: tuple[Finding, ...]
    drifts: tuple[LayerDrift, ...]
    examined: int
    fold: tuple[FoldEntry, ...]
    baked: tuple[str, ...]
    phases: Mapping[str, Change]
    narrow: tuple[str, ...]
    predict: Mapping[str, float]
    tolerances: Mapping[str, OutputTolerance]
    verification: Verification
    golden: GoldenInfo
    sensitivity: Mapping[str, float | None]
    labels: tuple[str, ...] | None
    preprocessing: str | None
    recalibration: RecalibrationEffect | None
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def folded(self) -> int:
        """How many BatchNormalization calls left nothing behind."""
        return sum(1 for entry in self.fold if "affine" not in entry.action)
