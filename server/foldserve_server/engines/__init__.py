"""Engines in processes of their own, as those who start and ask them see them. No engine library is imported here."""

from .engine_process import EngineProcess
from .life import EngineState, Queue, StateHook
from .report import LoadReport
from .settings import EngineSettings, Restarts, Watchdog

__all__ = ["EngineProcess", "EngineSettings", "EngineState", "LoadReport", "Queue", "Restarts", "StateHook", "Watchdog"]
