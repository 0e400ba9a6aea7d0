"""What keepers work with, and what they are handed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..models.engine import ModelEngine, StartEngine
from ..models.table import Table
from .scanner import VersionSnapshot

MemoryCheck = Callable[[str, Path], str | None]
"""Why there is no memory for a version directory beside what serves; None where there is enough, or nobody knows."""


@dataclass(frozen=True, slots=True)
class ReconcilerContext:
    """What keepers work with.

    Attributes:
        start: Starts engines.
        grace_s: How long a version that is left may take for its last answers.
        stop_first: Whether what serves is stopped before its successor is started: for devices that hold only one.
        room: Asked before a version is loaded.
    """

    table: Table
    start: StartEngine
    grace_s: float
    stop_first: bool = False
    room: MemoryCheck = lambda name, path: None


@dataclass(frozen=True, slots=True)
class VerifiedVersion:
    """A version that passed the gate and does not serve yet."""

    sighting: VersionSnapshot
    engine: ModelEngine
