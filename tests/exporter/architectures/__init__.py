"""Architectures of our own, each with what the fold must make of it, by theme."""

from .architecture import Architecture
from .borders import BORDERS
from .concatenated import CONCATENATED
from .gated import GATED
from .generators import GENERATORS
from .mobile import MOBILE
from .plain import PLAIN
from .pyramids import PYRAMIDS
from .residual import RESIDUAL
from .series import SERIES_MODELS
from .shared import SHARED
from .video import VIDEO
from .wrapped import WRAPPED

_THEMES = (
    PLAIN,
    RESIDUAL,
    CONCATENATED,
    MOBILE,
    GATED,
    PYRAMIDS,
    GENERATORS,
    SHARED,
    SERIES_MODELS,
    VIDEO,
    WRAPPED,
    BORDERS,
)
ARCHITECTURES = {architecture.name: architecture for theme in _THEMES for architecture in theme}

__all__ = ["ARCHITECTURES", "Architecture"]
