"""Reader of the `.keras` archives of tf.keras 2.12 to 2.15."""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ...errors import CannotLoad
from ..model_format import archive_version
from ..safety import read_config
from .hdf5 import open_hdf5
from .stored_model import StoredModel, model_config

_WEIGHTS = "model.weights.h5"
_GROUPS_2_12, _GROUPS = "_layer_checkpoint_dependencies", "layers"


def read_archive(path: Path) -> StoredModel:
    """Reads the configuration now, and the weights when they are assigned.

    Raises:
        CannotLoad: The archive is damaged or has no weights.
    """
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS not in archive.namelist():
            raise CannotLoad(f"{path} has no {_WEIGHTS}; save the model again")
    return StoredModel(
        path, archive_version(path), model_config(read_config(path), path), lambda model: _fill(model, path)
    )


def _fill(model: Any, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="foldserve-load-") as scratch:
        weights = Path(scratch) / _WEIGHTS
        with zipfile.ZipFile(path) as archive, archive.open(_WEIGHTS) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target)
        with open_hdf5(weights):  # checks that nothing in it points to other files
            pass
        _rename_groups(weights)
        model.load_weights(weights)


def _rename_groups(weights: Path) -> None:
    """Renames, in a copy, the groups of tf.keras 2.12 to their names since 2.13."""
    import h5py

    with h5py.File(weights, "r+") as file:
        pending = [file]
        while pending:
            group = pending.pop()
            if _GROUPS_2_12 in group:
                group.move(_GROUPS_2_12, _GROUPS)
            pending += [item for item in group.values() if isinstance(item, h5py.Group)]
