"""The exporter's runtime: Keras 3 on TensorFlow, float32, channels last."""

import ctypes
import gc
import importlib
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version

from .errors import Refused

_TOOLS = ("foldserve", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy")


def pin_runtime() -> None:
    """Sets the backend and the log level, which Keras and TensorFlow read on import; overrides `keras.json`."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def import_quietly() -> None:
    """Imports TensorFlow and Keras without their start-up messages, which C++ writes to file descriptor 2.

    The messages are shown where the import fails.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as messages:
        saved = os.dup(2)
        os.dup2(messages.fileno(), 2)
        try:
            importlib.import_module("keras")
        except Exception:
            messages.seek(0)
            os.write(saved, messages.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def require_runtime() -> None:
    """Imports Keras and checks that it runs on TensorFlow.

    Raises:
        Refused: Keras runs on another backend in this process.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise Refused(
            f"Keras runs on {keras.backend.backend()!r} here and the exporter needs TensorFlow:"
            " set KERAS_BACKEND=tensorflow before Keras is imported"
        )


def reset_defaults() -> None:
    """Restores the defaults that a user's `keras.json` may change. For commands, never for the library."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


def return_freed_memory() -> None:
    """Frees traced graphs, which refer to themselves, and returns freed pages to the system, which glibc would keep."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def tools(*more: str) -> dict[str, str]:
    """Versions of the libraries used, and the environment variable that changes TensorFlow's rounding.

    Args:
        *more: Distributions used beside those that always are.
    """
    versions = {"python": platform.python_version()}
    for name in (*_TOOLS, *more):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # onnxruntime-gpu, tensorflow-cpu: the same code under another name
            versions[name] = "unknown"
    return versions | {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")}
