"""How far another engine's answers were from those that callers got."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from foldserve_contract import tolerance

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Drift:
    """Figures of one version since it was put into service.

    Attributes:
        engine: The engine whose answers are compared: `onnxruntime` or `tensorflow`.
        bounds: The bundle's promised tolerance, by output.
        compared: Requests that both engines answered.
        beyond: How many of them deviated by more than was promised.
        failed: Requests that the other engine did not answer.
        skipped: Requests that were drawn and not mirrored, because the other engine was still busy with earlier ones.
        worst: max|one − other| of any request, by output; infinity where only one of them was finite.
    """

    engine: str
    bounds: Mapping[str, float]
    compared: int = 0
    beyond: int = 0
    failed: int = 0
    skipped: int = 0
    worst: dict[str, float] = field(default_factory=dict)

    def note(self, deviations: Mapping[str, float], where: str) -> None:
        """Takes in what one request deviated by; warns where that is more than promised, and more than ever before."""
        self.compared += 1
        beyond = {name: value for name, value in deviations.items() if not tolerance.within(value, self.bounds[name])}
        self.beyond += bool(beyond)
        for name, value in deviations.items():
            size = math.inf if math.isnan(value) else value
            if name in beyond and size > self.worst.get(name, 0.0):
                log.warning(
                    "%s: %s answers otherwise: output %r deviates by %.3g; %.3g is promised",
                    where, self.engine, name, size, self.bounds[name],
                )  # fmt: skip
            self.worst[name] = max(size, self.worst.get(name, 0.0))
