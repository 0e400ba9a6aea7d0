"""Part of the fourth step: the folded model as a Keras file."""

from pathlib import Path

from ..bundle_files import KERAS_FILE
from ..errors import Refused
from ..load.loader import Loaded, require_readable
from ..options import ExportOptions
from .fold import FoldedModel


def require_savable(folded: FoldedModel) -> None:
    """Refuses --keep-keras for a model that would depend on the learning phase again after loading.

    Raises:
        Refused: A layer is left whose code could not be read, and loading the file would create its class again; or a
            layer of the exporter's own, which whoever loads the file may not have.
    """
    if folded.open_sized:
        raise Refused(
            f"--keep-keras: {folded.open_sized[0]} works on open sizes, for which Keras has no layer that works in a "
            "graph. Give the Input fixed sizes, or leave --keep-keras out: SavedModel and ONNX need no layer for it"
        )
    if folded.unsavable:
        raise Refused(
            f"--keep-keras: {folded.unsavable} stays a class of your own whose call() cannot be read, and model.keras "
            "would bring back its BatchNormalization or dropout. Leave --keep-keras out: SavedModel and ONNX hold none"
        )


def write_keras(folded: FoldedModel, loaded: Loaded, options: ExportOptions, folder: Path) -> Path | None:
    """Writes `model.keras`; returns None where it is optional and a fresh process could not read it.

    Raises:
        Refused: The file is required, by --keep-keras, and could not be read again.
    """
    if folded.has_code and not options.keep_keras:
        return None
    file = folder / KERAS_FILE
    folded.model.model.save(file)
    try:
        require_readable(file, loaded.modules, options.trust_code)
    except Refused as refused:
        if not options.keep_keras:
            return None
        raise Refused(f"--keep-keras: model.keras could not be read again: {refused}") from refused
    return file
