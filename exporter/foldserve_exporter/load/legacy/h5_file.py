"""Reader of the whole-model HDF5 files of Keras 2.0 to tf.keras 2.15."""

from pathlib import Path
from typing import Any

from ...errors import CannotLoad, Refused
from .h5_weights import assign_by_name
from .hdf5 import attribute, names, open_hdf5
from .stored_model import StoredModel, model_config, parse_config

_WEIGHTS_ALONE = (
    "{path} holds weights alone, without the model: load them into their model (load_weights) and save that with"
    " model.save()"
)


def read_h5(path: Path) -> StoredModel:
    """Reads the configuration now, and the weights when they are assigned.

    Raises:
        CannotLoad: The file is damaged, holds weights alone, or was written by a Keras older than 2.0.
        Refused: Its weights are laid out for another backend than TensorFlow.
    """
    with open_hdf5(path) as file:
        text = attribute(file, "model_config")
        weights = file.get("model_weights", file)
        version = attribute(weights, "keras_version") or attribute(file, "keras_version") or ""
        backend = attribute(weights, "backend") or attribute(file, "backend") or "tensorflow"
        if text is None:
            raise CannotLoad(_WEIGHTS_ALONE.format(path=path) if _looks_like_weights(file) else _no_keras(path))
    if not version or version.startswith(("0.", "1.")):
        raise CannotLoad(f"{path} was saved by Keras {version or '1.0'}; save it again with a Keras from 2.0 on")
    if backend != "tensorflow":
        raise Refused(
            f"{path}: its weights were saved by Keras on {backend}, whose convolution kernels are flipped;"
            " load it there and save it again with KERAS_BACKEND=tensorflow"
        )
    config = model_config(parse_config(text, path), path)
    return StoredModel(path, version, config, lambda model: _fill(model, path, version))


def _fill(model: Any, path: Path, version: str) -> None:
    with open_hdf5(path) as file:
        if "model_weights" not in file:
            raise CannotLoad(f"{path} has a model without weights; save the whole model with model.save()")
        assign_by_name(model, file["model_weights"], version, path)


def _looks_like_weights(file: Any) -> bool:
    return bool(names(file, "layer_names")) or "layers" in file or "_layer_checkpoint_dependencies" in file


def _no_keras(path: Path) -> str:
    return f"{path} is an HDF5 file without a Keras model in it"
