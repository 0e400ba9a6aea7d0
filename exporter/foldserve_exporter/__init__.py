"""Exports Keras models with BatchNormalization: the model served is the model verified.

`export_model` writes a verified bundle; `fold` returns the folded model alone; `diagnose` finds the faults of a model;
`recalibrate` estimates its moving statistics from data; `freeze` prepares one for fine-tuning. Each is imported at
first use, because they import TensorFlow.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagnosis.diagnose import diagnose
    from .folding import fold
    from .freezing import freeze
    from .pipeline import export_model
    from .recalibration.recalibrate import recalibrate

__all__ = ["diagnose", "export_model", "fold", "freeze", "recalibrate"]

_MODULES = {
    "diagnose": "diagnosis.diagnose",
    "export_model": "pipeline",
    "fold": "folding",
    "freeze": "freezing",
    "recalibrate": "recalibration.recalibrate",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
