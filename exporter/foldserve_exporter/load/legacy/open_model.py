"""A file of Keras 2 as a Keras 3 model: read, vet, make in tf-keras, convert, compare."""

import warnings
from typing import Any

from ...error_text import error_text
from ...errors import CannotLoad, ExportError
from . import tf_keras_private as private
from .agreement import require_agreement
from .convert import convert
from .epsilon import apply_floor
from .sanitize import sanitize_config, without_training_arguments
from .stored_model import StoredModel


def open_legacy(
    saved: StoredModel, *, trust_code: bool = False, custom: frozenset[str] = frozenset()
) -> tuple[Any, tuple[str, ...]]:
    """The Keras 3 model, and notes for the user.

    Learning phases that are baked into calls stay in the model; the comparison is made without them.

    Raises:
        CannotLoad: The file is damaged, or what was made of it does not answer as tf-keras does.
        Refused: It asks for code that was not allowed, or for something that Keras 3 has not.
    """
    config = sanitize_config(saved.config, saved.path, trust_code=trust_code, custom=custom)
    free = without_training_arguments(config)
    old, notes = _make(saved, free, custom)
    converted = convert(old, saved.path, custom)
    require_agreement(old, converted, saved.path)
    if free != config:
        converted = convert(_make(saved, config, custom)[0], saved.path, custom)
    return converted.model, notes


def _make(saved: StoredModel, config: Any, custom: frozenset[str]) -> tuple[Any, tuple[str, ...]]:
    """The model in tf-keras, with its weights, and with the epsilon that its Keras computed with."""
    import tf_keras

    classes = {name: private.custom_class(name) for name in custom}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = tf_keras.models.model_from_config(config, custom_objects=classes)
            if not private.is_graph(model):
                raise CannotLoad(
                    f"{saved.path}: {model.name!r} is a {type(model).__name__} whose input shape the file does not say;"
                    " call the model on data and save it again"
                )
            saved.fill(model)
            _finalize(model)
    except ExportError:
        raise
    except Exception as error:
        raise CannotLoad(f"{saved.path} cannot be read as a Keras 2 model: {error_text(error)}") from error
    return model, apply_floor(model, saved.version)


def _finalize(model: Any) -> None:
    """Normalization computes with copies of its weights, which it makes when it is told to."""
    for layer in model.submodules:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
