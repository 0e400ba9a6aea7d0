"""Exports Keras models with BatchNormalization so that what was verified is what is served.

`export_model` writes a verified bundle; `fold` gives the folded model alone. Both are imported when first asked for,
because they bring TensorFlow with them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .folding import fold
    from .pipeline import export_model

__all__ = ["export_model", "fold"]


def __getattr__(name: str) -> Any:
    if name == "export_model":
        from .pipeline import export_model

        return export_model
    if name == "fold":
        from .folding import fold

        return fold
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
