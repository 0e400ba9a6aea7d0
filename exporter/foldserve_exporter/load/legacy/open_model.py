"""Steps from a file of Keras 2 to a Keras 3 model: sanitize, construct in tf-keras, convert, compare."""

import warnings
from typing import Any

from ...error_text import error_text
from ...errors import CannotLoad, ExportError
from ..given_samples import NO_SAMPLES, GivenSamples
from . import tf_keras_private as private
from .agreement import require_agreement
from .convert import convert
from .custom import CustomObjects
from .epsilon import apply_floor
from .sanitize import sanitize_config, without_training_arguments
from .stored_model import StoredModel


def open_legacy(
    stored: StoredModel,
    *,
    trust_code: bool = False,
    custom: CustomObjects | None = None,
    samples: GivenSamples = NO_SAMPLES,
) -> tuple[Any, tuple[str, ...]]:
    """The Keras 3 model, and notes for the user.

    Learning phases that are baked into calls stay in the model; the comparison is made without them, on the samples and
    on drawn inputs of their sizes.

    Raises:
        CannotLoad: The file is damaged, or the converted model does not answer as tf-keras does.
        Refused: It needs code that is not allowed, or something that Keras 3 lacks.
    """
    custom = custom or CustomObjects()
    config = sanitize_config(stored.config, stored.path, trust_code=trust_code, custom=custom)
    free = without_training_arguments(config)
    old, notes = _make(stored, free, custom, trust_code)
    converted = convert(old, stored.path, custom)
    require_agreement(old, converted, stored.path, samples)
    if free != config:
        converted = convert(_make(stored, config, custom, trust_code)[0], stored.path, custom)
    return converted.model, notes


def _make(stored: StoredModel, config: Any, custom: CustomObjects, trust_code: bool) -> tuple[Any, tuple[str, ...]]:
    """Constructs the model in tf-keras, with its weights and the epsilon that its Keras computed with; and notes."""
    import tf_keras

    try:
        with warnings.catch_warnings(), private.deserialization(custom.old, trust_code=trust_code):
            warnings.simplefilter("ignore")
            model = tf_keras.models.model_from_config(config, custom_objects=dict(custom.old))
            if not private.is_graph(model):
                raise CannotLoad(
                    f"{stored.path}: {model.name!r} is a {type(model).__name__} whose input shape is not in the file;"
                    " call the model on data and save it again"
                )
            stored.fill(model)
            _finalize(model)
    except ExportError:
        raise
    except Exception as error:
        raise CannotLoad(f"{stored.path} cannot be read as a Keras 2 model: {error_text(error)}") from error
    return model, apply_floor(model, stored.version)


def _finalize(model: Any) -> None:
    """Finalizes Normalization layers, which compute with copies of their weights."""
    for layer in model.submodules:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
