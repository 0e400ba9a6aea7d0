"""Loader of model files: picks the reader for a file's format and returns a Keras 3 model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from foldserve_contract.manifest import Source

from ..error_text import error_text
from ..errors import CannotLoad, ExportError
from ..graph.tensorflow_function import OWN_LAYER
from .digest import digest, weights_digest
from .given_samples import NO_SAMPLES, GivenSamples
from .legacy.archive import read_archive
from .legacy.directory import read_directory
from .legacy.h5_file import read_h5
from .legacy.stored_model import StoredModel
from .model_format import ModelFormat, detect_format
from .modules import ModelFunction, import_modules, objects_of
from .safety import read_config, refuse_code


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model and the file it came from.

    Attributes:
        model: A Keras 3 model.
        source: The file.
        notes: Notes for the user on how it was read.
        readers: Distributions that took part in reading it, beside those that every export uses.
        modules: Custom modules that its layers come from.
    """

    model: Any
    source: Source
    notes: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def load_model(
    path: Path,
    *,
    trust_code: bool = False,
    custom_objects: Sequence[str] = (),
    samples: GivenSamples = NO_SAMPLES,
) -> Loaded:
    """Loads a model that Keras saved whole: `.keras`, `.h5`, or a SavedModel directory of Keras 2.

    Args:
        path: The file or directory, or `package.module:function`, a function that returns a model.
        trust_code: True if code may run: Lambda layers of the file, or that function.
        custom_objects: Modules to import first, whose classes and functions the file may name; or
            `NAME=package.module:object` for an object that the file calls NAME.
        samples: Inputs for the comparison of both readers of a Keras 2 file; none for drawn ones.

    Raises:
        CannotLoad: The path is not such a file, is damaged, or a module cannot be imported.
        Refused: It would run code that is not allowed, or holds something that Keras 3 lacks.
    """
    # a function that returns a model
    if function := ModelFunction.parse(str(path)):
        return _call(function, trust_code, custom_objects)
    # a file that Keras 3 wrote
    modules = tuple(custom_objects)
    model_format = detect_format(path)
    source = Source(path.name, digest(path))
    if model_format is ModelFormat.ARCHIVE:
        return Loaded(_load_keras_3(path, read_config(path), trust_code, modules), source, modules=modules)
    stored = _READERS[model_format](path)
    if stored.version.startswith("3."):
        return Loaded(_load_keras_3(path, stored.config, trust_code, modules), source, modules=modules)
    # a file of Keras 2, which tf-keras reads
    _require_tf_keras(path)
    from .legacy import custom_objects as of_keras_2
    from .legacy import open_legacy

    import_modules(modules)
    model, notes = open_legacy(stored, trust_code=trust_code, custom=of_keras_2(modules), samples=samples)
    return Loaded(model, source, notes, ("tf-keras",), modules)


_READERS: dict[ModelFormat, Callable[[Path], StoredModel]] = {
    ModelFormat.H5: read_h5,
    ModelFormat.LEGACY_ARCHIVE: read_archive,
    ModelFormat.DIRECTORY: read_directory,
}


def _call(function: ModelFunction, trust_code: bool, custom_objects: Sequence[str]) -> Loaded:
    if trust_code:
        import_modules(custom_objects)
    model = function.call(trust_code=trust_code)
    return Loaded(model, Source(str(function), weights_digest(model)), modules=(*custom_objects, function.module))


def _load_keras_3(path: Path, config: Any, trust_code: bool, modules: tuple[str, ...]) -> Any:
    import_modules(modules)
    named = objects_of(modules)
    refuse_code(config, path, _names(named, modules, trust_code), trust_code)
    try:
        model = keras.saving.load_model(path, custom_objects=named, compile=False, safe_mode=not trust_code)
    except ExportError:
        raise
    except Exception as error:
        raise CannotLoad(f"{path} cannot be read as a Keras model: {error_text(error)}") from error
    if not isinstance(model, keras.Model):
        raise CannotLoad(f"{path} holds a {type(model).__name__}, not a Keras model")
    return model


def require_readable(path: Path, modules: tuple[str, ...], trust_code: bool) -> None:
    """Checks that a new process that imports these modules finds every class and function in a `.keras` file.

    Raises:
        Refused: One would not be found; the message names the layer.
    """
    refuse_code(read_config(path), path, _names(objects_of(modules), modules, trust_code), trust_code)


def _names(named: Mapping[str, Any], modules: tuple[str, ...], trust_code: bool) -> frozenset[str]:
    registered = keras.saving.get_custom_objects() if modules or trust_code else {}
    return frozenset((*named, *registered, OWN_LAYER))


def _require_tf_keras(path: Path) -> None:
    if find_spec("tf_keras") is None:
        raise CannotLoad(f"{path} was saved by Keras 2; tf-keras reads it: pip install 'foldserve[exporter]'")
