"""First step: the model, from a file or from memory."""

from pathlib import Path
from typing import Any

from foldserve_contract.manifest import Source

from ..load.digest import weights_digest
from ..load.given_samples import GivenSamples
from ..load.loader import Loaded, load_model
from ..options import ExportOptions
from ..renaming import Renames


def open_model(model: Any, options: ExportOptions) -> Loaded:
    """Loads a model file; a model object is used as it is, and identified by the digest of its weights."""
    if isinstance(model, str | Path):
        return load_model(
            Path(model),
            trust_code=options.trust_code,
            custom_objects=options.custom_objects,
            samples=_samples(options),
        )
    source = Source(f"{type(model).__name__} {model.name!r} in memory", weights_digest(model))
    return Loaded(model, source, modules=options.custom_objects)


def _samples(options: ExportOptions) -> GivenSamples:
    """The samples by the model's own names; what they hold is for the preprocessing where there is any."""
    old_names = {new: old for old, new in Renames.parse(options.rename).names.items()}
    given = GivenSamples.read(options.samples, is_raw=options.preprocess is not None)
    return given.renamed(old_names)
