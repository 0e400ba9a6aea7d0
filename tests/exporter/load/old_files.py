"""Models saved by old versions of Keras, with their answers there; written by `tests/exporter/legacy/make.py`."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

OWN = Path(__file__).parent.parent / "legacy"
SHARED = Path(__file__).parents[4] / "shared" / "legacy"


def models_in(folder: Path) -> list[Path]:
    """Every model file or directory below a folder that has a file of answers beside it."""
    paths = (path for path in sorted(folder.rglob("*")) if answers_file(path) is not None)
    return [path for path in paths if path.suffix in (".h5", ".keras") or path.is_dir()]


def answers_file(path: Path) -> Path | None:
    beside = (path.with_name(f"{path.name}.npz"), path.with_suffix(".npz"))
    return next((candidate for candidate in beside if candidate.is_file() and path.suffix != ".npz"), None)


def label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def questions_and_answers(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Inputs, and the answers of the Keras that saved the model."""
    file = answers_file(path)
    assert file is not None
    with np.load(file) as arrays:
        return arrays["x"], [arrays[name] for name in sorted(arrays.files) if name != "x"]


def edited(original: Path, target: Path, edit: Callable[[Any], None]) -> Path:
    """A copy of a model's HDF5 file whose configuration was changed by ``edit``."""
    shutil.copy(original, target)
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return target


@contextmanager
def old_keras() -> Iterator[Any]:
    """Import of tf-keras without its warnings about itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tf_keras

        yield tf_keras


def randomise(model: Any, seed: int = 0) -> Any:
    """Every weight of a tf-keras model random, variances positive, gains of either sign."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.dtype.is_floating:
            drawn = generator.normal(0, 0.5, variable.shape)
            positive = "variance" in variable.name or "stddev" in variable.name
            variable.assign(np.abs(drawn) + 0.1 if positive else drawn)
    return model


def saved(model: Any, path: Path, **options: Any) -> Path:
    """Saves a tf-keras model in the format of the file's suffix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path, **options)
    return path
