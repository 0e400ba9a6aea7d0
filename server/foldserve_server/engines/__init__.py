"""Engines in processes of their own: started, supervised, asked. No engine library is imported here."""

from .local_engine import LocalEngine
from .process.engine_supervisor import EngineState, QueueState, StateHook
from .report import LoadReport
from .settings import EngineSettings, RestartPolicy, WatchdogPolicy

__all__ = [
    "EngineSettings",
    "EngineState",
    "LoadReport",
    "LocalEngine",
    "QueueState",
    "RestartPolicy",
    "StateHook",
    "WatchdogPolicy",
]
