"""Exports Keras models with BatchNormalization so that what was verified is what is served.

`export_model` writes a verified bundle; `fold` gives the folded model alone; `diagnose` says what ails a model and
`recalibrate` what its moving statistics should be; `freeze` prepares one for fine-tuning. They are imported when first
asked for, because they bring TensorFlow with them.
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
