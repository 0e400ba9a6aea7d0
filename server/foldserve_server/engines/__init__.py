"""Engines in processes of their own: started, supervised, asked. No engine library is imported here."""

from .engine_process import EngineProcess
from .process.engine_supervisor import EngineState, QueueState, StateHook
from .report import LoadReport
from .settings import EngineSettings, RestartPolicy, WatchdogPolicy

__all__ = [
    "EngineProcess",
    "EngineSettings",
    "EngineState",
    "LoadReport",
    "QueueState",
    "RestartPolicy",
    "StateHook",
    "WatchdogPolicy",
]
