"""The one runtime the exporter works in: Keras 3 on TensorFlow, float32, channels last."""

import importlib
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version

from .errors import Refused

_TOOLS = ("foldserve", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy")


def pin_runtime() -> None:
    """Sets what Keras reads when it is first imported, whatever the user's `keras.json` says. Call it before that."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def import_quietly() -> None:
    """Imports TensorFlow and Keras without their start-up chatter, which C++ writes to file descriptor 2.

    What was written is shown after all where the import fails.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            importlib.import_module("keras")
        except Exception:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def require_runtime() -> None:
    """Imports Keras and makes sure that it is the one to work with.

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
    """Undoes what a `keras.json` of the user's may have set. For commands only: a library must not change defaults."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


def tools(*more: str) -> dict[str, str]:
    """Versions of the libraries that take part, and the flag that changes TensorFlow's rounding.

    Args:
        *more: Distributions that took part beside those that always do.
    """
    found = {"python": platform.python_version()}
    for name in (*_TOOLS, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # onnxruntime-gpu, tensorflow-cpu: the same code under another name
            found[name] = "unknown"
    return found | {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")}
