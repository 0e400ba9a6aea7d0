"""First step: the model, from a file or from memory."""

from pathlib import Path
from typing import Any

from foldserve_contract.manifest import Source

from ..load.digest import weights_digest
from ..load.loader import Loaded, load_model
from ..options import ExportOptions


def open_model(model: Any, options: ExportOptions) -> Loaded:
    """Loads a model file; a model object is used as it is, and identified by the digest of its weights."""
    if isinstance(model, str | Path):
        return load_model(Path(model), trust_code=options.trust_code, custom_objects=options.custom_objects)
    source = Source(f"{type(model).__name__} {model.name!r} in memory", weights_digest(model))
    return Loaded(model, source, modules=options.custom_objects)
