"""Public functions of TensorFlow that compute tensors from tensors alone, found by their names in its API."""

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import Refused

_NAMESPACES = frozenset(
    (
        "__operators__",
        "bitwise",
        "dtypes",
        "image",
        "linalg",
        "math",
        "math.special",
        "nn",
        "quantization",
        "signal",
        "",
    )
)
"""Where such functions stand, also below `compat.v1`; `io`, `raw_ops`, `random` and all others are out of bounds."""
_PYTHON = "tensorflow.python."
_IMPLEMENTATIONS = frozenset(
    f"{_PYTHON}{module}"
    for module in (
        "framework.constant_op", "framework.tensor_conversion", "ops.array_ops", "ops.array_ops_stack",
        "ops.bincount_ops", "ops.clip_ops", "ops.confusion_matrix", "ops.ctc_ops", "ops.embedding_ops",
        "ops.gen_array_ops", "ops.gen_bitwise_ops", "ops.gen_data_flow_ops", "ops.gen_image_ops",
        "ops.gen_linalg_ops", "ops.gen_math_ops", "ops.gen_nn_ops", "ops.gen_spectral_ops", "ops.histogram_ops",
        "ops.image_ops_impl", "ops.linalg.linalg_impl", "ops.linalg_ops", "ops.manip_ops", "ops.math_ops",
        "ops.nn_impl", "ops.nn_ops", "ops.signal.dct_ops", "ops.signal.fft_ops", "ops.signal.mel_ops",
        "ops.signal.mfcc_ops", "ops.signal.reconstruction_ops", "ops.signal.shape_ops", "ops.signal.spectral_ops",
        "ops.signal.window_ops", "ops.sort_ops", "ops.special_math_ops", "ops.tensor_getitem_override",
    )
)  # fmt: skip
"""The modules that implement them: none of these reads files, runs Python code, keeps state or loads libraries."""
_OTHERS = frozenset({"ensure_shape"})
_ON_STRINGS = ("gen_string_ops", "string_ops", "ragged_string_ops")


def find_function(name: str) -> Callable[..., Any]:
    """The function `tf.NAME`.

    Raises:
        Refused: There is none, or it may do more than compute tensors from tensors; the message has no layer's name.
    """
    function = _symbol(name)
    if function is None:
        raise Refused(f"tf.{name}, which is not a function of TensorFlow's public API here")
    module = inspect.unwrap(function).__module__
    if module.split(".")[-1] in _ON_STRINGS:
        raise Refused(f"tf.{name}, which works on strings; map them to numbers before the model")
    if _namespace(name) in _NAMESPACES and (module in _IMPLEMENTATIONS or name in _OTHERS):
        return function
    raise Refused(f"tf.{name}, which may do more than compute numbers from numbers (files, Python code, state, chance)")


def is_public(name: object) -> bool:
    """True if `find_function` finds the function."""
    try:
        find_function(str(name))
    except Refused:
        return False
    return True


def _namespace(name: str) -> str:
    return name.removeprefix("compat.v1.").rpartition(".")[0]


def _symbol(name: str) -> Callable[..., Any] | None:
    """The function of that name: attributes of TensorFlow's modules are followed, and none of anything else."""
    import tensorflow as tf

    place: Any = tf
    for part in name.split("."):
        if not inspect.ismodule(place) or (part.startswith("_") and part != "__operators__"):
            return None
        place = getattr(place, part, None)
    return place if inspect.isfunction(place) or inspect.isfunction(inspect.unwrap(place)) else None
