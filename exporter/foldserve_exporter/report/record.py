"""The results of an export as one frozen record: written as `report.json`, rendered as `report.html`."""

from collections.abc import Mapping
from dataclasses import dataclass

from foldserve_contract.manifest import FoldEntry, GoldenInfo, OutputTolerance, Recalibration, Source
from foldserve_contract.signature import Signature

from ..diagnosis.budget import ONE_PASS
from ..diagnosis.drift import LayerDrift
from ..diagnosis.finding import Finding, FindingKind
from ..predictions.change import Change
from ..predictions.scores import Scores
from ..verify.verdict import Verification
from .golden_check import GoldenCheck


@dataclass(frozen=True, slots=True)
class RecalibrationEffect:
    """Effect of a recalibration on the predictions for its own samples.

    Attributes:
        info: Its entry in the manifest.
        changes: By output, the predictions before against those after.
        before, after: Scores by output; empty without labels.
    """

    info: Recalibration
    changes: Mapping[str, Change]
    before: Mapping[str, Scores]
    after: Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class Report:
    """Report of an export, published or refused.

    Attributes:
        published: Whether the version is in the model repository.
        findings: Faults of the model as it was given, the most severe first.
        drifts: Distance of every BatchNormalization from the user's samples; empty where none were given.
        examined: Number of the user's samples it was examined on.
        baked: Calls with a learning phase baked in; there is none in the artifacts.
        phases: By output, the unfolded model's predictions in phase 0 against those in phase 1.
        narrow: Layers that compute, or may compute, in float32 in the float64 reference too, which is
            no more exact for them.
        predict: max|`predict` of the untouched model − reference| by output; for information only.
        sensitivity: The smallest relative change of a median weight that the golden samples notice, by kernel.
        labels: The names of the classes, where they were given.
        preprocessing: The preprocessing put before the model, if any.
        recalibration: The effect of recalibrating the model; None where it was not recalibrated.
        sizes: The sizes of open dimensions at which the export was verified, in words; empty where none is open.
        warnings: Messages for the user, although nothing failed.
        seconds: Duration of every step.
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
    sizes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def golden_check(self) -> GoldenCheck:
        """What the golden samples notice, by layer."""
        return GoldenCheck.of(self.golden, self.sensitivity)

    @property
    def compared(self) -> bool:
        """True if there were enough samples to compare the statistics with theirs."""
        return self.examined >= ONE_PASS.least_rows

    @property
    def batch_dependence(self) -> Finding | None:
        """The finding that the model's own answers depend on the batch, which is why the export failed; else None."""
        if self.verification.passed:
            return None
        return next((finding for finding in self.findings if finding.kind is FindingKind.NEIGHBOURS), None)

    @property
    def folded(self) -> int:
        """The number of BatchNormalization calls that were folded completely."""
        return sum(1 for entry in self.fold if "affine" not in entry.action)
