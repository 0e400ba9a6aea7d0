"""What a user should be told although nothing failed."""

from collections.abc import Iterator, Mapping

import numpy as np

from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo

from ..diagnosis.findings import Findings

_VISIBLE = 1e-2  # of the outputs' scale: a user would see a gap of this size between the phases
_FEW_PROMISES = 100


def warnings_for(
    findings: Findings, golden: Golden, info: GoldenInfo, promised: Mapping[str, float], bounds: Mapping[str, float]
) -> tuple[str, ...]:
    """Warnings in words, the most serious first."""
    return (
        *_phase_warnings(findings),
        *_predict_warnings(findings, bounds),
        *_golden_warnings(golden, info, promised),
    )


def _phase_warnings(findings: Findings) -> Iterator[str]:
    for name, gap in findings.phases.items():
        if gap.largest > _VISIBLE * gap.scale:
            yield (
                f"output {name!r} differs by {gap.largest:.3g} between learning phases: the moving statistics are not"
                " those of the samples. The bundle answers as phase 0 (predict) does; if fit showed a better model,"
                " its moving statistics lag: estimate them anew with --recalibrate, or train longer"
            )
    if findings.baked:
        yield (
            f"{len(findings.baked)} calls have a learning phase baked in ({'; '.join(findings.baked[:3])});"
            " the artifacts have none and answer in inference mode"
        )


def _predict_warnings(findings: Findings, bounds: Mapping[str, float]) -> Iterator[str]:
    for name, deviation in findings.predict.items():
        if not deviation <= bounds[name]:
            yield (
                f"output {name!r}: predict of the model as given differs by {deviation:.3g} from inference mode;"
                " something in it does not follow the learning phase"
            )


def _golden_warnings(golden: Golden, info: GoldenInfo, promised: Mapping[str, float]) -> Iterator[str]:
    if info.synthetic:
        yield "the golden samples are synthetic; --samples with real inputs makes the check at every reload sharper"
    for name, array in golden.outputs.items():
        if golden.rows > 1 and np.ptp(array.astype(np.float64), axis=0).max(initial=0) < _FEW_PROMISES * promised[name]:
            yield f"output {name!r} hardly varies over the golden samples, so that they notice little; give --samples"
