"""Dependencies of model managers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..models.model_engine import ModelEngine, StartEngine
from ..models.routing_table import RoutingTable
from ..stats.metric_counters import MetricCounters
from .scanner import VersionSnapshot

MemoryCheck = Callable[[str, Path], str | None]
"""Why no memory is free for a version directory beside what serves; None where enough is, or is not known."""


@dataclass(frozen=True, slots=True)
class ManagerContext:
    """Dependencies of every `ModelManager`.

    Attributes:
        table: The routing table, which managers change.
        start: Starts engines.
        metric_counters: Counts loads and refusals.
        grace_s: Seconds that a version taken out of service may take for its last answers.
        stop_first: Whether what serves is stopped before its successor is started: for devices that hold only one.
        memory_shortage: Asked before a version is loaded.
    """

    table: RoutingTable
    start: StartEngine
    metric_counters: MetricCounters
    grace_s: float
    stop_first: bool = False
    memory_shortage: MemoryCheck = lambda name, path: None


@dataclass(frozen=True, slots=True)
class VerifiedVersion:
    """A version that passed the gate and does not serve yet."""

    snapshot: VersionSnapshot
    engine: ModelEngine
